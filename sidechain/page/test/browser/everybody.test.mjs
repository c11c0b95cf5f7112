// Who can use the page, and what it looks like.
import "./everybody.mjs";
import "./pictures.mjs";
