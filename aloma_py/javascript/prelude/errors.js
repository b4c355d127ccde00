// What is told of an error: its name, message, stack with the author's lines, and status.
const { defineProperty, freeze, hasOwn } = Object;

// Stacks show the user's files, and none of the prelude's frames.
Error.stackTraceLimit = 20;
Error.prepareStackTrace = (error, frames) => {
  let head;
  try { head = String(error) } catch { head = 'Error' }
  const lines = [head];
  for (const frame of frames) {
    const file = frame.getScriptNameOrSourceURL();
    if (file && file !== '<anonymous>') lines.push(`    at ${frame}`);
  }
  return lines.join('\n');
};

const text = value => { try { return String(value) } catch { return 'an error that cannot be shown' } };
const describe = error => {
  try {
    if (error !== null && typeof error === 'object' && 'message' in error) {
      const status = error.status;
      return { name: text(error.name || 'Error'), message: text(error.message), stack: text(error.stack ?? ''),
               status: Number.isInteger(status) ? status : null, kinds: CallError.kindsOf(error) };
    }
    const shown = typeof error === 'string' ? error : internal.show(error);
    return { name: 'Error', message: `thrown: ${shown}`, stack: '', status: null };
  } catch {
    return { name: 'Error', message: 'an error that cannot be shown', stack: '', status: null };
  }
};

// What steps look for in vain, and what there is instead.
const INSTEAD = {
  process: 'configuration is task.config(…)', require: 'shared code goes into a library (lib.…)',
  Deno: 'a step has no system around it', Bun: 'a step has no system around it', axios: 'use fetch or a connector',
  XMLHttpRequest: 'use fetch or a connector', WebSocket: 'use a connector', window: 'a step runs in no browser',
  document: 'a step runs in no browser', global: 'use globalThis', __dirname: 'use file or blob',
  fs: 'use file or blob', SharedArrayBuffer: 'a step shares no memory', Atomics: 'a step shares no memory',
  WebAssembly: 'code is JavaScript or TypeScript', Worker: 'use task.subtask(…) for work beside',
};
const advise = told => {
  const [, name] = /^(\w+) is not (?:defined|a constructor|a function)$/.exec(told.message) ?? [];
  if (name !== undefined && hasOwn(INSTEAD, name)) told.message += `: ${INSTEAD[name]}`;
  if (told.message.startsWith('Code generation from strings')) told.message += ': eval and Function are not there';
  return told;
};

class CallError extends Error {
  // `site` is an error made where the call was: its stack has the author's line, the answer's turn has none.
  #kinds;
  static kindsOf = error => (error !== null && typeof error === 'object' && #kinds in error ? error.#kinds : []);
  constructor({ name, message, status, kinds = [] }, site) {
    super(message);
    defineProperty(this, 'name', { value: name || 'CallError', configurable: true, writable: true });
    if (status !== null && status !== undefined) this.status = status;
    this.#kinds = kinds;
    const [, ...frames] = site.stack.split('\n');
    const value = [`${this.name}: ${message}`, ...frames].join('\n');
    defineProperty(this, 'stack', { value, configurable: true, writable: true });
  }
}

freeze(CallError);
freeze(CallError.prototype);
Object.assign(internal, { text, describe, advise, CallError });
