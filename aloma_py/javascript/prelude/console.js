// `console`: lines of the run's log. Texts as they are, everything else as JSON, or as JavaScript shows it.
const { stringify } = JSON;
const { isError = value => value instanceof Error } = Error;

const show = value => {
  if (typeof value === 'string') return value;
  if (typeof value === 'function') return `[function ${value.name || 'anonymous'}]`;
  if (isError(value)) return value.stack ? String(value.stack) : `${value.name}: ${value.message}`;
  if (value === undefined || typeof value === 'symbol') return String(value);
  if (value instanceof Map || value instanceof Set) {
    return `${value.constructor.name}(${value.size}) ${show([...value])}`;
  }
  try {
    const text = stringify(value);
    return text === undefined ? String(value) : text;
  } catch {
    return Object.prototype.toString.call(value);
  }
};
internal.show = show;

// `write(level, text)` takes a line.
internal.console = write => {
  const counts = new Map();
  const line = level => (...parts) => write(level, parts.map(show).join(' '));
  const info = line('info');
  return {
    log: info, info, debug: line('debug'), trace: line('debug'), warn: line('warning'), error: line('error'),
    dir: value => info(value), table: value => info(value), group: info, groupCollapsed: info, groupEnd() {},
    assert(holds, ...parts) { if (!holds) line('error')('Assertion failed:', ...parts) },
    count(label = 'default') {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      info(`${label}: ${counts.get(label)}`);
    },
    countReset(label = 'default') { counts.delete(label) },
    time() {}, timeEnd() {}, timeLog() {},
  };
};
