// What readers find in the page, and what it says when the node that serves it lies.
import "./first_screen.mjs";
import "./search.mjs";
import "./evidence.mjs";
