// Seeded choices, words and elements for the pages of this folder.
let state = 1;

function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

const below = (n) => Math.floor(random() * n);
const between = (low, high) => low + below(high - low + 1);
const pick = (list) => list[below(list.length)];

function some(list, n) {
  const left = [...list];
  return Array.from({ length: n }, () => left.splice(below(left.length), 1)[0]);
}

const PEOPLE = ['Ada', 'Ben', 'Cora', 'Dan', 'Eva', 'Finn', 'Gina', 'Hugo', 'Ines', 'Jon', 'Kira',
  'Leo', 'Mona', 'Nils', 'Olga', 'Paul'];
const GOODS = ['cup', 'lamp', 'chair', 'clock', 'spoon', 'basket', 'mirror', 'vase', 'pillow',
  'candle', 'kettle', 'shelf', 'towel', 'broom', 'stool', 'plate'];
const COLOURS = ['red', 'green', 'blue', 'black', 'white', 'yellow', 'grey', 'brown'];
const PLACES = ['Lisbon', 'Oslo', 'Prague', 'Turin', 'Ghent', 'Riga', 'Porto', 'Bern', 'Cork',
  'Graz'];
const TOPICS = ['garden', 'music', 'travel', 'sports', 'cooking', 'history', 'films', 'science',
  'weather', 'books'];
const CHORES = ['water plants', 'buy bread', 'call Ada', 'wash car', 'fix door', 'send letter',
  'feed cat', 'clean desk', 'pay rent', 'book train'];

// An element: `h('button', { onclick: f, 'aria-pressed': true }, 'text', child)`.
function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (typeof value === 'function') element[name] = value;
    else if (value !== false || name.startsWith('aria-')) element.setAttribute(name, value);
  }
  element.append(...children.flat());
  return element;
}

const button = (name, onclick) => h('button', { onclick }, name);
const field = (name, type = 'text') => h('input', { 'aria-label': name, type });

function box(name, onchange, type = 'checkbox', group = '') {
  return h('label', {}, h('input', { type, name: group, onchange }), name);
}

// Seed the choices and let a page fill its body; returns what it says is to be done.
function start(seed, fill) {
  state = Number(seed) | 0;
  document.body.replaceChildren();
  return fill(document.body);
}
