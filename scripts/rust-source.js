// Rust source as the checks of structure read it: without comments, strings and tests, every place where it was.

const blank = (text) => text.replace(/[^\n]/g, " ");

function withoutCommentsAndStrings(text) {
  return text.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\/|r(#*)"[\s\S]*?"\1|b?"(?:\\[\s\S]|[^"\\])*"|b?'(?:\\.[^']*|[^'\\])'/g, blank);
}

// Without what only `#[cfg(test)]` and the feature `testing` see.
function withoutTests(text) {
  let result = text;
  for (const match of text.matchAll(/#\[cfg\((?:test|any\(test,\s*feature\s*=\s*(?:"testing"|\s*)\))\)\]/g)) {
    const end = itemEnd(text, match.index + match[0].length);
    result = result.slice(0, match.index) + blank(result.slice(match.index, end)) + result.slice(end);
  }
  return result;
}

// Where the item that starts at `from` ends: behind its last brace, or its semicolon.
function itemEnd(text, from) {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if ("([{".includes(text[at])) depth++;
    if (")]}".includes(text[at]) && --depth === 0 && text[at] === "}") return at + 1;
    if (text[at] === ";" && depth === 0) return at + 1;
  }
  return text.length;
}

const production = (text) => withoutTests(withoutCommentsAndStrings(text));

module.exports = { production, itemEnd };
