// internal.graph(data): vertices and edges kept in a task's data, under $graph, as the engine's own graph keeps them:
// {vertices: [{id, …}], edges: [{id, out, in, type, …}]}. For the other modules:
// internal.inputError(message), internal.notFound(kind, name, known), internal.quoted(value).

const {isObject, put} = internal.paths;
const {isArray} = Array;
const {hasOwn, entries, getPrototypeOf, defineProperty} = Object;
const {max, min} = Math;
const plainPrototype = Object.prototype;
const MEMBER = '$graph';

// --- errors --------------------------------------------------------------------------------------------------------

const named = (name, message) => defineProperty(new Error(message), 'name', {
  value: name, writable: true, enumerable: false, configurable: true,
});

const inputError = (message) => named('InputError', message);

// A value in a message: texts in single quotes where they hold none, like all of the engine's messages.
const quoted = (value, depth = 0) => {
  if (typeof value === 'string') {
    const mark = value.includes("'") && !value.includes('"') ? '"' : "'";
    const escaped = value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
      .replaceAll('\t', '\\t').replaceAll(mark, `\\${mark}`);
    return `${mark}${escaped}${mark}`;
  }
  if (typeof value === 'function') return 'a function';
  if (depth > 3 || typeof value !== 'object' || value === null) return depth > 3 ? '…' : String(value);
  if (isArray(value)) return `[${value.map((element) => quoted(element, depth + 1)).join(', ')}]`;
  return `{${entries(value).map(([name, member]) => `${quoted(name)}: ${quoted(member, depth + 1)}`).join(', ')}}`;
};

// --- the nearest of some names -------------------------------------------------------------------------------------

// The longest run that two lists of characters share in these ranges, the first of them: [at, at in the other, length].
const longestRun = (one, from, to, other, otherFrom, otherTo) => {
  let best = [from, otherFrom, 0];
  let lengths = new Map();
  for (let at = from; at < to; at++) {
    const next = new Map();
    for (let there = otherFrom; there < otherTo; there++) {
      if (one[at] !== other[there]) continue;
      const length = (lengths.get(there - 1) ?? 0) + 1;
      next.set(there, length);
      if (length > best[2]) best = [at - length + 1, there - length + 1, length];
    }
    lengths = next;
  }
  return best;
};

// How alike two lists of characters are, from 0 to 1: those in runs that both have, in the same order.
const likeness = (one, other) => {
  if (one.length + other.length === 0) return 1;
  let shared = 0;
  const ranges = [[0, one.length, 0, other.length]];
  for (let range; (range = ranges.pop());) {
    const [from, to, otherFrom, otherTo] = range;
    const [at, there, length] = longestRun(one, from, to, other, otherFrom, otherTo);
    if (length === 0) continue;
    shared += length;
    ranges.push([from, at, otherFrom, there], [at + length, to, there + length, otherTo]);
  }
  return (2 * shared) / (one.length + other.length);
};

const numbersOf = (word) =>
  (word.endsWith('y') ? [`${word}s`, `${word}es`, `${word.slice(0, -1)}ies`] : [`${word}s`, `${word}es`]);

// The name that is most like `name`: the other number of the same word, the one that begins with it, or a similar one.
const nearest = (name, names) => {
  const same = names.filter((other) => numbersOf(name).includes(other) || numbersOf(other).includes(name));
  const longer = [...name].length >= 3 ? names.filter((other) => other.startsWith(name)) : [];
  for (const certain of [same, longer]) if (certain.length === 1) return certain[0];
  let best;
  let bestLikeness = 0.6;
  const word = [...name];
  for (const other of names) {
    const letters = [...other];
    const most = (2 * min(word.length, letters.length)) / max(1, word.length + letters.length);
    if (most < bestLikeness) continue;  // not even if the shorter one were part of the longer
    const found = likeness(letters, word);
    if (found >= bestLikeness) [best, bestLikeness] = [other, found];  // names are sorted: of equals, the last
  }
  return best;
};

const suggest = (name, known) => {
  const names = [...new Set(known)].sort();
  const near = nearest(name, names);
  if (near !== undefined) return `; did you mean ${quoted(near)}?`;
  return names.length > 0 && names.length <= 12 ? `; there are: ${names.join(', ')}` : '';
};

const notFound = (kind, name, known) =>
  named('NotFoundError', `there is no ${kind} ${quoted(name)}${suggest(name, known)}`);

// --- the graph -----------------------------------------------------------------------------------------------------

const own = (object, name) => (hasOwn(object, name) ? object[name] : undefined);

// undefined, never null, where there is none.
const idOf = (element) => (isObject(element) ? own(element, 'id') : element) ?? undefined;

const find = (elements, id) => elements.find((element) => idOf(element) === id);

const textOf = (id) => (id === undefined ? 'null' : typeof id === 'string' ? id : quoted(id));

const idsOf = (elements) => elements.map((element) => textOf(idOf(element)));

// Plain objects and arrays are copied, so that the graph shares nothing with what was given.
const copy = (value) => {
  if (isArray(value)) return value.map(copy);
  if (!isObject(value)) return value;
  const prototype = getPrototypeOf(value);
  if (prototype !== null && prototype !== plainPrototype) return value;
  const made = {};
  for (const [name, member] of entries(value)) {
    defineProperty(made, name, {value: copy(member), writable: true, enumerable: true, configurable: true});
  }
  return made;
};

const membersOf = (what, given) => {
  if (given === undefined || given === null) return {};
  if (!isObject(given)) throw inputError(`${what} is an object such as {'type': 'person'}, not ${quoted(given)}`);
  return copy({...given});
};

class Graph {
  #data;

  constructor(data) {
    this.#data = data;
  }

  // The whole graph; of a task that has none, an empty one that is not kept.
  get() {
    return isObject(own(this.#data, MEMBER)) ? this.#whole() : {vertices: [], edges: []};
  }

  vertices() {
    return this.get().vertices.filter(isObject);
  }

  edges() {
    return this.get().edges.filter(isObject);
  }

  // Where there is a vertex of that id, it takes on the members: a step that runs again makes no second one.
  addVertex(vertex) {
    let made = membersOf('a vertex', vertex);
    const id = idOf(made);
    if (id === undefined) {
      made = {...made, id: this.#newId('v', 'vertices')};
    } else {
      const present = this.getVertex(id);
      if (present !== undefined) {
        for (const [name, member] of entries(made)) put(present, [name], member);
        return present;
      }
    }
    return this.#add('vertices', made);
  }

  getVertex(vertex) {
    return find(this.vertices(), idOf(vertex));
  }

  connect(edge) {
    const made = membersOf('an edge', edge);
    for (const end of ['out', 'in']) {
      if ((own(made, end) ?? undefined) === undefined) {
        throw inputError(`connect() needs '${end}': a vertex or its id, as in {'out': a, 'in': b}`);
      }
      made[end] = this.#known(made[end]);
    }
    if (idOf(made) === undefined) made.id = this.#newId('e', 'edges');
    else if (find(this.edges(), made.id)) throw inputError(`there is an edge ${quoted(made.id)} already`);
    return this.#add('edges', made);
  }

  removeVertex(vertex) {
    const id = this.#known(vertex);
    const graph = this.#whole();
    graph.vertices = graph.vertices.filter((present) => idOf(present) !== id);
    graph.edges = graph.edges.filter((edge) => edge?.out !== id && edge?.in !== id);
  }

  removeEdge(edge) {
    const id = idOf(edge);
    const edges = this.edges();
    if (!find(edges, id)) throw notFound('edge', textOf(id), idsOf(edges));
    this.#whole().edges = edges.filter((present) => idOf(present) !== id);
  }

  // The graph in the data, made or completed where parts are missing.
  #whole() {
    if (!isObject(own(this.#data, MEMBER))) this.#data[MEMBER] = {};
    const graph = this.#data[MEMBER];
    for (const name of ['vertices', 'edges']) if (!isArray(own(graph, name))) graph[name] = [];
    return graph;
  }

  // What is given back is read from the data again: that is what a caller's changes must reach.
  #add(name, made) {
    const elements = this.#whole()[name];
    elements.push(made);
    return elements[elements.length - 1];
  }

  #known(vertex) {
    const id = idOf(vertex);
    const vertices = this.vertices();
    if (!find(vertices, id)) throw notFound('vertex', textOf(id), idsOf(vertices));
    return id;
  }

  // Counted, not random, so that a run that is started again gives the same ids.
  #newId(letter, name) {
    const taken = new Set(this.get()[name].filter(isObject).map(idOf));
    let number = taken.size + 1;
    while (taken.has(`${letter}${number}`)) number++;
    return `${letter}${number}`;
  }
}
internal.freezeClass(Graph);

internal.inputError = inputError;
internal.notFound = notFound;
internal.quoted = quoted;
internal.graph = (data) => new Graph(data);
