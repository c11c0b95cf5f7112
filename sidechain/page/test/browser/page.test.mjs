// The page in a real browser, over a real network: what owners and passers-by do with it, and what it says when something is not as it should be.
// In this order: what the first ones did on the network, the later ones find.
import "./first_screen.mjs";
import "./peg_in.mjs";
import "./peg_out.mjs";
import "./search.mjs";
import "./evidence.mjs";
import "./everybody.mjs";
import "./pictures.mjs";
import "./away.mjs";
