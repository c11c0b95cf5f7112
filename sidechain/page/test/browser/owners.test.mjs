// What owners do with the page in a real browser, over a real network.
import "./peg_in.mjs";
import "./peg_out.mjs";
import "./own.mjs";
import "./unregistered.mjs";
import "./away.mjs";
