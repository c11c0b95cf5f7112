// What takes a network of its own, whose rules let nobody wait for long.
import "./overdue.mjs";
