"""Step and library files in JavaScript and TypeScript, made ready for V8: text in, records out."""
