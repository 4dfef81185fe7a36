/** Edits of manifests: the values are as they were set, and the rest of the text is as it was. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';

import { type Doc, parse, type Path, type Splice, spliced } from './document';
import { layoutOf, writeBlock } from './layout';
import { plainValue, writeScalar } from './scalar';
import { MAP, SCALAR, SEQ } from './tree';
import { equal, valueOf } from './value';

vi.setConfig({ testTimeout: 60_000 });

const FOLDER = '../sources/manifests/';
const manifests = readdirSync(FOLDER)
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => [name, readFileSync(FOLDER + name, 'utf-8')] as const);
const python = process.env.KITESTRING_PYTHON ?? '.venv/bin/python';

/** What the server reads from texts. */
function asServer(texts: readonly string[]): unknown[] {
  const code =
    'import json, sys, yaml\nprint(json.dumps([yaml.load(t, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) for t in json.load(sys.stdin)], default=str))';
  return JSON.parse(execFileSync(python, ['-c', code], { encoding: 'utf-8', cwd: '../..', input: JSON.stringify(texts), maxBuffer: 2 ** 28 })) as unknown[];
}

/** Numbers from 0 to 1, the same in each run. */
function draws(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const after = (doc: Doc, splices: Splice[]) => parse(spliced(doc.text, splices));

/** The lines that only one of two texts has. */
function difference(before: string, next: string): [string[], string[]] {
  const [a, b] = [before.split('\n'), next.split('\n')];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return [a.slice(start, a.length - end), b.slice(start, b.length - end)];
}

function withValue(root: unknown, path: Path, value: unknown): unknown {
  const copy = structuredClone(root) as Record<string | number, unknown>;
  let part = copy;
  for (const key of path.slice(0, -1)) part = part[key] as Record<string | number, unknown>;
  const key = path.at(-1)!;
  if (value === undefined) {
    if (Array.isArray(part)) part.splice(Number(key), 1);
    else delete part[key];
  } else part[key] = value;
  return copy;
}

function isKey(doc: Doc, node: number): boolean {
  const parent = doc.tree.parent(node);
  return doc.tree.kind(parent) === MAP && doc.tree.entries(parent).some(([key]) => key === node);
}

function ancestors(doc: Doc, node: number): number[] {
  const nodes = [];
  for (let parent = node; parent >= 0; parent = doc.tree.parent(parent)) nodes.push(parent);
  return nodes;
}

describe('the manifests that come with Kitestring', () => {
  it('are read as the server reads them', () => {
    const read = asServer(manifests.map(([, text]) => text));
    for (const [index, [name, text]] of manifests.entries()) {
      const doc = parse(text);
      expect(doc.problems, name).toEqual([]);
      expect(JSON.parse(JSON.stringify(doc.get([]))), name).toEqual(read[index]);
    }
  });

  it.each(manifests)('%s: setting the present value changes nothing', (_, text) => {
    const doc = parse(text);
    expect(doc.set([], doc.get([]))).toEqual([]);
    for (let node = 1; node < doc.tree.count; node += 1 + Math.floor(doc.tree.count / 200)) {
      const path = doc.tree.path(node);
      if (doc.written(path) !== undefined) expect(doc.set(path, doc.written(path))).toEqual([]);
    }
  });

  it.each(manifests)('%s: an edit of one value changes its lines alone', (_, text) => {
    const doc = parse(text);
    const root = doc.get([]);
    const anchored = new Set(Array.from({ length: doc.tree.count }, (__, node) => node).filter((node) => doc.tree.anchor(node) !== undefined));
    for (let node = 1; node < doc.tree.count; node += 1 + Math.floor(doc.tree.count / 40)) {
      const path = doc.tree.path(node);
      if (doc.tree.kind(node) !== SCALAR || path.includes('<<') || isKey(doc, node)) continue;
      if (ancestors(doc, node).some((parent) => anchored.has(parent))) continue;
      const value = 'changed to: "this" #1';
      const next = after(doc, doc.set(path, value));
      expect(next.problems).toEqual([]);
      expect(next.get(path), String(path)).toBe(value);
      expect(equal(next.get([]), withValue(root, path, value)), String(path)).toBe(true);
      const [removed, added] = difference(text, next.text);
      expect(added.join('\n')).toContain('changed to');
      expect(removed.length).toBeLessThanOrEqual(doc.text.slice(doc.tree.from(node), doc.tree.to(node)).trimEnd().split('\n').length);
    }
  });
});

describe('styles stay', () => {
  const cases: [string, Path, unknown, string][] = [
    ['a: foo # why\n', ['a'], 'bar', 'a: bar # why\n'],
    ["a: 'foo'\n", ['a'], "it's", "a: 'it''s'\n"],
    ['a: "foo"\n', ['a'], 'x', 'a: "x"\n'],
    ['a: foo\n', ['a'], 'true', 'a: "true"\n'],
    ['a: foo\n', ['a'], '2020-01-01', 'a: "2020-01-01"\n'],
    ['a: foo\n', ['a'], "{{ config['x'] }}", 'a: "{{ config[\'x\'] }}"\n'],
    ['a: |\n  l1\n  l2\nb: 1\n', ['a'], 'l1\nl3\n', 'a: |\n  l1\n  l3\nb: 1\n'],
    ['a: >-\n  l1\n  l2\nb: 1\n', ['a'], 'x y', 'a: >-\n  x y\nb: 1\n'],
    ['a: {b: 1, c: 2} # k\n', ['a', 'd'], 'x, y', 'a: {b: 1, c: 2, d: "x, y"} # k\n'],
    ['a: [x]\n', ['a'], ['x', 'w'], 'a: [x, w]\n'],
    ['a:\n- x # 1\n- z # 2\n', ['a'], ['x', 'w', 'z'], 'a:\n- x # 1\n- w\n- z # 2\n'],
    ['a:\n    b: 1\n', ['c'], { d: { e: 1 } }, 'a:\n    b: 1\nc:\n    d:\n        e: 1\n'],
    ['a: # here\n  b: 1\n', ['a'], 'x', 'a: x # here\n'],
    ['a: x # here\nb: 1\n', ['a'], { b: 1 }, 'a: # here\n  b: 1\nb: 1\n'],
    ['a: x # here\nb: 1\n', ['a'], 'm\nn\n', 'a: | # here\n  m\n  n\nb: 1\n'],
    ['a:\nb: 1\n', ['a', 'c'], 2, 'a:\n  c: 2\nb: 1\n'],
    ['a: {}\nb: 1\n', ['a', 'c'], [{ d: 1, e: 2 }], 'a:\n  c:\n    - d: 1\n      e: 2\nb: 1\n'],
    ['- a: 1\n  b: 2\n- c\n', [0, 'a'], undefined, '- b: 2\n- c\n'],
    ['- a: 1\n  # note\n  b: 2\n', [0, 'a'], undefined, '-\n  # note\n  b: 2\n'],
    ['- - a\n  - b\n', [0, 0], undefined, '- - b\n'],
    ['a: {b: 1, c: 2}\n', ['a', 'b'], undefined, 'a: {c: 2}\n'],
    ['a: 1\nb: 2', ['c'], 3, 'a: 1\nb: 2\nc: 3'],
    ['{"a": 1, "b": "x"}', ['c'], { d: 'e' }, '{"a": 1, "b": "x", "c": {"d": "e"}}'],
    ['{\n  "a": 1,\n  "b": 2\n}\n', ['c'], 'x', '{\n  "a": 1,\n  "b": 2,\n  "c": "x"\n}\n'],
    ['a: 1\r\nb:\r\n  c: x\r\n', ['b', 'd'], 'w', 'a: 1\r\nb:\r\n  c: x\r\n  d: w\r\n'],
    ['', ['version'], '6.0.0', 'version: 6.0.0\n'],
    ['# only a comment\n', ['a'], 1, '# only a comment\na: 1\n'],
    ['a: &x foo\nb: *x\n', ['a'], 'bar', 'a: &x bar\nb: *x\n'],
    ['a: &x foo\nb: *x\n', ['b'], 'bar', 'a: &x foo\nb: bar\n'],
    ['a: !!str 5\n', ['a'], 6, 'a: 6\n'],
    ['-   a: 1\n    b: 2\n', [0, 'c'], 3, '-   a: 1\n    b: 2\n    c: 3\n'],
    ['-\n    a: 1\n', [0, 'b'], 2, '-\n    a: 1\n    b: 2\n'],
    ['a: |\n  x\n\n\nb: 1\n', ['a'], 'y', 'a: |-\n  y\n\n\nb: 1\n'],
  ];
  it.each(cases)('%j with %j = %j', (text, path, value, expected) => {
    const doc = parse(text);
    const next = spliced(text, doc.set(path, value));
    expect(next).toBe(expected);
    expect(parse(next).get(path)).toEqual(value === undefined ? parse(expected).get(path) : value);
  });

  it('fields stand in the order that is asked for', () => {
    const doc = parse('type: X\nz: 1\n');
    expect(spliced(doc.text, doc.set(['m'], 2, { order: ['type', 'm', 'z'] }))).toBe('type: X\nm: 2\nz: 1\n');
  });

  it('items move with the comments above them', () => {
    const text = 'streams:\n  # The first.\n  - a: 1\n  - b: 2\n  # The third.\n  - c: 3 # c\n';
    const doc = parse(text);
    expect(spliced(text, doc.move(['streams'], 0, 2))).toBe('streams:\n  - b: 2\n  # The third.\n  - c: 3 # c\n  # The first.\n  - a: 1\n');
    expect(spliced(text, doc.move(['streams'], 2, 0))).toBe('streams:\n  # The third.\n  - c: 3 # c\n  # The first.\n  - a: 1\n  - b: 2\n');
    expect(spliced(text, doc.move(['streams'], 1, 1))).toBe(text);
  });

  it('references by number follow their items', () => {
    const text = 'streams:\n  - name: a\n  - name: b\n    parent: {$ref: "#/streams/0"} # its parent\n    self: "#/streams/1/name"\n  - name: c\n    parent:\n      $ref: "#/streams/1"\n';
    const doc = parse(text);
    const parents = (next: Doc) => Object.fromEntries(Array.from({ length: next.count(['streams']) }, (_, index) => [next.get(['streams', index, 'name']), next.get(['streams', index, 'parent', 'name'])]));
    const expected = { a: undefined, b: 'a', c: 'b' };
    for (const from of [0, 1, 2]) for (const to of [0, 1, 2]) {
      const next = after(doc, doc.move(['streams'], from, to));
      expect(parents(next), next.text).toEqual(expected);
      expect(next.text).toContain('# its parent');
    }
    for (const index of [0, 1, 2, 3]) expect(parents(after(doc, doc.insert(['streams'], index, { name: 'new' })))).toEqual({ ...expected, new: undefined });
    expect(after(doc, doc.remove(['streams', 0])).get(['streams', 1, 'parent', 'name'])).toBe('b');
  });

  it('a renamed definition keeps its references', () => {
    const text = 'definitions:\n  a: {x: 1}\nstreams:\n  - $ref: "#/definitions/a"\n  - "#/definitions/a/x"\n';
    expect(spliced(text, parse(text).rename(['definitions', 'a'], 'base'))).toBe(
      'definitions:\n  base: {x: 1}\nstreams:\n  - $ref: "#/definitions/base"\n  - "#/definitions/base/x"\n',
    );
    expect(parse('a: 1\nb: 2\n').rename(['a'], 'b')).toEqual([]);
  });
});

describe('what is inherited', () => {
  const text = `definitions:
  requester: &requester
    type: HttpRequester
    url_base: https://a # base
    authenticator: {type: BearerAuthenticator, api_token: x}
  stream:
    type: DeclarativeStream
    retriever:
      type: SimpleRetriever
      requester: {$ref: "#/definitions/requester"}
streams:
  - $ref: "#/definitions/stream"
    $parameters: {name: first, path: /first}
  - type: DeclarativeStream
    name: second
    retriever:
      type: SimpleRetriever
      requester:
        $ref: "#/definitions/requester"
        path: /second
  - type: DeclarativeStream
    name: third
    retriever:
      type: SimpleRetriever
      requester:
        <<: *requester
        path: /third
  - "#/definitions/stream"
`;
  const doc = parse(text);
  const base = (stream: number): Path => ['streams', stream, 'retriever', 'requester', 'url_base'];

  it('is read through references, merges and parameters', () => {
    for (const stream of [0, 1, 2, 3]) expect(doc.get(base(stream))).toBe('https://a');
    expect(doc.get(['streams', 0, 'name'])).toBe('first');
    expect(doc.get(['streams', 0, 'retriever', 'requester', 'path'])).toBe('/first');
    expect(doc.get(['streams', 1, 'retriever', 'requester', 'path'])).toBe('/second');
    expect(doc.get(['streams', 3, 'retriever', 'requester', 'path'])).toBeUndefined();
    expect(doc.origin(['streams', 0, 'name'])?.steps.at(-1)?.via).toBe('parameter');
    expect(doc.origin(base(2))).toMatchObject({ path: ['definitions', 'requester', 'url_base'], steps: [{ via: 'merge' }, { via: 'alias' }] });
    expect(doc.keys(['streams', 1, 'retriever', 'requester'])).toEqual(['path', 'type', 'url_base', 'authenticator']);
    expect(doc.users(base(0))).toHaveLength(4);
    expect(doc.users(['streams', 1, 'name'])).toEqual([['streams', 1]]);
  });

  it('is edited where it comes from, for all', () => {
    const next = after(doc, doc.set(base(1), 'https://b', { where: 'shared' }));
    expect(difference(text, next.text)).toEqual([['    url_base: https://a # base'], ['    url_base: https://b # base']]);
    for (const stream of [0, 1, 2, 3]) expect(next.get(base(stream))).toBe('https://b');
  });

  it.each([0, 1, 2, 3])('is overridden in stream %i alone', (stream) => {
    for (const path of [base(stream), [...base(stream).slice(0, -1), 'authenticator', 'api_token'], [...base(stream).slice(0, -1), 'http_method']]) {
      const next = after(doc, doc.set(path, 'other'));
      expect(next.problems).toEqual([]);
      for (const other of [0, 1, 2, 3]) {
        const same = ['streams', other, ...path.slice(2)];
        expect(next.get(same)).toBe(other === stream ? 'other' : doc.get(same));
      }
      expect(next.get([...base(stream).slice(0, -1), 'authenticator', 'type'])).toBe('BearerAuthenticator');
    }
  });

  it('is overridden by null where it is removed', () => {
    const next = after(doc, doc.remove(base(1)));
    expect(next.get(base(1))).toBeNull();
    expect(next.get(base(2))).toBe('https://a');
  });

  it('ends, also where references and aliases are circular', () => {
    const circular = parse('a: {$ref: "#/b"}\nb: {$ref: "#/a"}\nc: &c [*c]\nd: "#/d"\ne: &e {<<: *e, x: 1}\n');
    for (const key of ['a', 'b', 'c', 'd', 'e']) for (const path of [[key], [key, 'x'], [key, 0]]) circular.get(path);
    expect(circular.keys(['a'])).toEqual([]);
    let bomb = 'a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n';
    for (let level = 1; level < 30; level++) bomb += `a${level}: &a${level} [${Array(10).fill(`*a${level - 1}`).join(', ')}]\n`;
    expect(parse(bomb).get(['a29'])).toHaveLength(10);
    expect(parse('['.repeat(100_000)).problems).not.toEqual([]);
  });
});

const texts = ['', ' a', 'a: b', '- x', '# c', 'null', 'yes', '1', '1e3', '0x1f', '1_000', '12:30', '2024-01-01', 'a\nb', 'a\nb\n', '\n', "it's \"so\"", '{{ config["a"] }}', '*x', '&y',
  '!t', '%d', '@e', '`f', 'a #b', 'a:', ':a', 'é 😀', '\u2028', '\x07', '\\n', 'tab\there', 'a\n\n', '  lead\nb', '<<', '=', '~', '#/definitions/x', '---', '...', 'a,b', '[x]', '?', '-', '- ', 'Ünï', 'a\r\nb', 'a  ', '0o17', '.5', '+1', '__proto__']; // prettier-ignore

describe('written values', () => {
  it('are read by the server as they were meant, in blocks and in lines', () => {
    const values = [...texts, '\ud800', 0, -0.5, 1e21, 1e-7, 123456789, true, false, null];
    const docs = values.flatMap((value) => [
      `a: ${writeScalar(value)}\n`,
      `a: {b: ${writeScalar(value, { flow: true })}}\n`,
      `a: ${writeScalar(value, { quote: 'single' })}\n`,
      spliced('a: x\n', parse('a: x\n').set(['a'], value)),
      spliced('a: |\n  x\nb: 1\n', parse('a: |\n  x\nb: 1\n').set(['a'], value)),
      spliced('- x\n- y # c\n', parse('- x\n- y # c\n').set([1], value)),
      `${writeScalar(typeof value === 'string' ? value : 'x')}: 1\n`,
    ]);
    const read = asServer(docs);
        for (const [index, meant] of values.entries()) {
      const value = meant === '\ud800' ? '\ufffd' : meant;
      const [block, flow, single, set, literal, item, key] = read.slice(7 * index, 7 * index + 7) as [Record<string, unknown>, { a: { b: unknown } }, Record<string, unknown>, Record<string, unknown>, Record<string, unknown>, unknown[], object];
      for (const result of [block.a, flow.a.b, single.a, set.a, literal.a, item[1]]) expect(result, JSON.stringify(value)).toEqual(value);
      if (typeof value === 'string') expect(Object.keys(key)).toEqual([value]);
      for (const text of docs.slice(7 * index, 7 * index + 6)) {
        const doc = parse(text);
        expect(doc.get(text.startsWith('-') ? [1] : text.includes('{b') ? ['a', 'b'] : ['a']), text).toEqual(value);
      }
    }
  });

  it('plain scalars mean what they mean to the server', () => {
    const plain = ['yes', 'No', 'y', 'on', '1', '01', '0x1F', '0b11', '1_0', '1:30', '1.5', '1e3', '1.0e+3', '~', '', 'Null', 'nUll', '+5', '-7', '1.', '.5', '12:30:45.5', '0', '-0', '08', '1,5', 'TRUE', 'tRue'];
    expect(['.inf', '-.INF', '.nan'].map(plainValue)).toEqual([Infinity, -Infinity, NaN]); // JSON has no word for them
    const read = asServer(plain.map((text) => `a: ${text}\n`)) as { a: unknown }[];
    for (const [index, text] of plain.entries()) {
      const value = plainValue(text);
      expect(value === 0 ? 0 : value, text).toEqual(read[index]!.a);
    }
  });
});

/** A value of random shape. */
function randomValue(draw: () => number, depth = 0): unknown {
  const kind = draw();
  if (depth > 3 || kind < 0.55) {
    const choices: unknown[] = [texts[Math.floor(draw() * texts.length)], Math.floor(draw() * 100), draw() < 0.5, null, 'plain', 'some words'];
    return choices[Math.floor(draw() * choices.length)];
  }
  const count = Math.floor(draw() * 4);
  if (kind < 0.75) return Array.from({ length: count }, () => randomValue(draw, depth + 1));
  return Object.fromEntries(Array.from({ length: count }, () => [['type', 'name', 'path', 'a b', 'x-y', '1', 'true'][Math.floor(draw() * 7)]!, randomValue(draw, depth + 1)]));
}

/** A text with comments and flow parts strewn in. */
function randomText(draw: () => number): string {
  const value = { first: randomValue(draw), streams: [randomValue(draw, 1), { a: 1, b: randomValue(draw, 1) }], last: randomValue(draw) };
  const layout = { step: draw() < 0.5 ? 2 : 4, dash: draw() < 0.5 ? 0 : 2, quote: draw() < 0.5 ? ('single' as const) : ('double' as const), shortLists: draw() < 0.5, json: false, newline: '\n' as const };
  const lines = writeBlock(value, 0, layout).split('\n');
  let block = -1;
  const remarked = lines.flatMap((line) => {
    const indent = line.length - line.trimStart().length;
    if (block >= 0 && (line.trim() === '' || indent > block)) return [line];
    block = /[|>]-?$/.test(line) ? line.search(/[^\s-]/) : -1;
    if (draw() < 0.1) return [`${' '.repeat(indent)}# note`, line];
    return [draw() < 0.1 && block < 0 ? `${line} # note` : line];
  });
  return remarked.join('\n') + (draw() < 0.8 ? '\n' : '');
}

describe('random documents', () => {
  it('an edit gives the value that was set, and leaves the others', () => {
    const draw = draws(11);
    for (let round = 0; round < 800; round++) {
      const text = randomText(draw);
      const doc = parse(text);
      expect(doc.problems, text).toEqual([]);
      const root = doc.get([]);
      const node = 1 + Math.floor(draw() * (doc.tree.count - 1));
      const path = [...doc.tree.path(node)];
      if (doc.tree.kind(node) === MAP && draw() < 0.4) path.push('added');
      const action = draw();
      const value = action < 0.2 && doc.written(path) !== undefined ? undefined : randomValue(draw);
      const next = after(doc, doc.set(path, value));
      const expected = withValue(root, path, value);
      expect(next.problems, `${text}\n--- ${JSON.stringify(path)} = ${JSON.stringify(value)}\n${next.text}`).toEqual([]);
      expect(equal(next.get([]), expected), `${text}\n--- ${JSON.stringify(path)} = ${JSON.stringify(value)}\n${next.text}`).toBe(true);
      const [removed] = difference(text, next.text);
      // No comment is lost but with the lines that are replaced.
      expect((next.text.match(/# note/g) ?? []).length).toBeGreaterThanOrEqual((text.match(/# note/g) ?? []).length - removed.filter((line) => line.includes('# note')).length);
      const quick = doc.spliced(doc.set(path, value));
      if (quick) expect(signature(quick), text).toEqual(signature(next));
    }
  });

  it('items are inserted and moved', () => {
    const draw = draws(5);
    for (let round = 0; round < 400; round++) {
      const doc = parse(randomText(draw));
      const lists = Array.from({ length: doc.tree.count }, (_, node) => node).filter((node) => doc.tree.kind(node) === SEQ);
      const node = lists[Math.floor(draw() * lists.length)]!;
      const path = doc.tree.path(node);
      const items = valueOf(doc.tree, node) as unknown[];
      const value = randomValue(draw);
      const index = Math.floor(draw() * (items.length + 1));
      const inserted = after(doc, doc.insert(path, index, value));
      expect(equal(inserted.get(path), items.toSpliced(index, 0, value)), `${doc.text}\n--- ${JSON.stringify(path)} ${index}\n${inserted.text}`).toBe(true);
      if (items.length < 2) continue;
      const [from, to] = [Math.floor(draw() * items.length), Math.floor(draw() * items.length)];
      const moved = after(doc, doc.move(path, from, to));
      const expected = items.toSpliced(from, 1).toSpliced(to, 0, items[from]);
      expect(equal(moved.get(path), expected), `${doc.text}\n--- ${JSON.stringify(path)} ${from} → ${to}\n${moved.text}`).toBe(true);
    }
  });
});

/** All that a tree says. */
function signature(doc: Doc) {
  const { tree } = doc;
  return Array.from({ length: tree.count }, (_, node) => [
    tree.kind(node), tree.style(node), tree.from(node), tree.to(node), tree.parent(node), tree.end(node), tree.kind(node) === SCALAR ? tree.content(node) : '', tree.anchor(node),
  ].join(' ')).join('\n'); // prettier-ignore
}

const small = [...manifests].sort((a, b) => a[1].length - b[1].length).slice(0, 6);

describe('a text that is typed', () => {
  it.each(small)('%s: its tree is that of the whole text', (_, text) => {
    const draw = draws(3);
    let doc = parse(text);
    let quick = 0;
    for (let round = 0; round < 60; round++) {
      const from = Math.floor(draw() * doc.text.length);
      const insert = ['a', ' ', '\n', ':', '"', "'", '#', '- ', '{', '  ', '&', '*', '|', 'x: y\n', ''][Math.floor(draw() * 15)]!;
      const splice = { from, to: from + (draw() < 0.4 ? Math.floor(draw() * 6) : 0), insert };
      const whole = after(doc, [splice]);
      const next = doc.spliced([splice]);
      if (next) {
        quick++;
        expect(whole.problems, JSON.stringify([splice, doc.text.slice(from - 60, from + 60)])).toEqual([]);
        expect(signature(next), JSON.stringify([splice, doc.text.slice(from - 60, from + 60)])).toEqual(signature(whole));
      }
      // A broken text stays for one step: the next one starts from the last that could be read.
      if (whole.problems.length === 0) doc = whole;
    }
    expect(quick).toBeGreaterThan(10);
  });
});

it('a layout is that of most of the document', () => {
  expect(layoutOf(parse('a:\n    b: 1\nc:\n    - d\n').tree)).toMatchObject({ step: 4, dash: 4, quote: 'double' });
  expect(layoutOf(parse("a:\n- 'b'\nc: 'd'\n").tree)).toMatchObject({ step: 2, dash: 0, quote: 'single' });
});

describe('YAML in place', () => {
  const text = 'a:\n  # head\n  b: 1 # one\n  c:\n    - x # item\n    - y\nd: {e: 1}\nf:\n  - g: 1\n    h: 2\n';
  const doc = parse(text);

  it('is read as it stands, and writing that changes nothing', () => {
    expect(doc.source(['a', 'c'])).toBe('- x # item\n- y');
    expect(doc.source(['a'])).toBe('b: 1 # one\nc:\n  - x # item\n  - y');
    expect(doc.source(['d'])).toBe('{e: 1}');
    expect(doc.source(['f', 0])).toBe('g: 1\nh: 2');
    expect(doc.source(['none'])).toBeUndefined();
    for (const path of [['a'], ['a', 'c'], ['d'], ['f', 0], ['a', 'b']]) expect(doc.setSource(path, doc.source(path)!)).toEqual([]);
  });

  it('is written with its comments', () => {
    const source = 'p: 1 # why\n# more\nq: [x]';
    for (const path of [['a', 'c'], ['a', 'b'], ['d'], ['f', 0], ['f', 1], ['n', 'm']]) {
      const next = after(doc, doc.setSource(path, source));
      expect(next.problems, next.text).toEqual([]);
      expect(next.get(path), next.text).toEqual({ p: 1, q: ['x'] });
      expect(next.text).toContain('# why');
      expect(equal(withValue(next.get([]), path[0] === 'n' ? ['n'] : path, undefined), path[0] === 'n' || path[1] === 1 ? doc.get([]) : withValue(doc.get([]), path, undefined))).toBe(true);
    }
    expect(spliced(text, doc.setSource(['d', 'e'], '\n- 1\n- 2 # no\n'))).toContain('d: {e: [1, 2]}');
    expect(parse(spliced(text, doc.setSource(['a', 'b'], '|-\n  l1\n  l2'))).get(['a', 'b'])).toBe('l1\nl2');
    expect(spliced(text, doc.setSource(['d'], ''))).not.toContain('d:');
    expect(() => doc.setSource(['d'], '[')).toThrow(SyntaxError);
  });
});
