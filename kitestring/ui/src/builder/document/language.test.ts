/** Every field of every component of the language, as the server sends it, is edited once: the text differs there alone. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it, vi } from 'vitest';

import { parse, type Path, spliced } from './document';
import { componentTitle, fieldTitle, type FieldType, Language, type LanguageData } from './language';
import { equal } from './value';

vi.setConfig({ testTimeout: 60_000 });

const python = process.env.KITESTRING_PYTHON ?? '.venv/bin/python';
const code = 'import json; from kitestring.declarative.builder.language import language; print(json.dumps(language()))';
const language = new Language(JSON.parse(execFileSync(python, ['-c', code], { encoding: 'utf-8', cwd: '../..', maxBuffer: 2 ** 26 })) as LanguageData);

/** Two different values that a type allows. */
function examples(type: FieldType, depth = 0): [unknown, unknown] {
  if (typeof type === 'object') {
    if ('any' in type) return [examples(type.any[0]!, depth)[0], examples(type.any.at(-1)!, depth)[1]];
    if ('enum' in type) return [type.enum[0], type.enum.length > 1 ? type.enum[1] : 'OTHER'];
    const [first, second] = examples('list' in type ? type.list : type.map, depth);
    return 'list' in type ? [[first], [first, second]] : [{ a: first }, { a: first, 'b c': second }];
  }
  if (type === 'text') return ['some words', 'true'];
  if (type === 'template') return ["{{ config['x'] }}", '{{ response["a: b"] }} # 1'];
  if (type === 'integer') return [3, 40];
  if (type === 'number') return [0.5, 1e21];
  if (type === 'boolean') return [true, false];
  if (type === 'key') return ['id', [['a', 'b'], ['c']]];
  if (type === 'schema') return [{ type: 'object' }, { type: 'object', properties: { a: { type: ['null', 'string'] } } }];
  if (type === 'value' || type === 'object') return [{ a: 1 }, { a: [1, null], b: 'line 1\nline 2\n' }];
  const component = language.component(type)!;
  const make = (pick: 0 | 1) => {
    const value: Record<string, unknown> = component.typeless ? {} : { type };
    const fields = Object.entries(component.fields).filter(([, field]) => field.required);
    if (depth < 3) for (const [name, field] of fields.length > 0 ? fields : Object.entries(component.fields).slice(0, 1)) value[name] = examples(field.type, depth + 1)[pick];
    return value;
  };
  return [make(0), { ...make(1), $parameters: { note: 'x' } }];
}

const text = (component: string) => `# A manifest.
before: kept   # remark
streams:
  # The part.
  - type: ${component}
    first: 'quoted'   # stays

    unknown_key: {b: 1,  c: "x"}
  - other: 1
definitions:
  flow: {type: ${component}, first: 'quoted'} # line
  shared: &shared
    type: ${component}
  alias: *shared
after: |
  text
`;

/** The text before and behind what two texts do not share. */
function changed(before: string, next: string): [string, string] {
  let start = 0;
  while (start < before.length && start < next.length && before[start] === next[start]) start++;
  let end = 0;
  while (end < before.length - start && end < next.length - start && before.at(-1 - end) === next.at(-1 - end)) end++;
  return [before.slice(start, before.length - end), next.slice(start, next.length - end)];
}

const components = Object.entries(language.data.components).filter(([, component]) => Object.keys(component.fields).length > 0);

it('the language is whole', () => {
  expect(components.length).toBeGreaterThan(110);
  expect(components.reduce((sum, [, component]) => sum + Object.keys(component.fields).length, 0)).toBeGreaterThan(470);
});

describe.each(components)('%s', (name, component) => {
  it('each field is set, changed and removed, and nothing else', () => {
    for (const [field, facts] of Object.entries(component.fields)) {
      const original = parse(text(name));
      const [first, second] = examples(facts.type);
      expect(equal(first, second), field).toBe(false);
      for (const base of [['streams', 0], ['definitions', 'flow'], ['definitions', 'alias']] as Path[]) {
        const path = [...base, field];
        const options = { order: language.order(name) };
        let doc = original;
        for (const value of [first, second]) {
          const next = parse(spliced(doc.text, doc.set(path, value, options)));
          expect(next.problems, next.text).toEqual([]);
          expect(equal(next.get(path), value), `${next.text}\n${JSON.stringify(value)}`).toBe(true);
          const others = structuredClone(original.get([])) as Record<string, unknown>;
          let part = others as Record<string | number, unknown>;
          for (const key of base) part = part[key] as Record<string | number, unknown>;
          part[field] = value;
          expect(equal(next.get([]), others), next.text).toBe(true);
          const [removed, added] = changed(doc.text, next.text);
          // What went is a part of the old value, or the alias that a copy replaces; it never spans a comment.
          expect(removed, next.text).not.toContain('#' + ' stays');
          if (doc === original && base[1] !== 'alias') expect(removed, next.text).toBe('');
          expect(added).not.toBe('');
          doc = next;
        }
        if (base[1] === 'alias') continue;
        const without = spliced(doc.text, doc.remove(path));
        expect(without).toBe(original.text);
      }
    }
  });
});

it('titles are words', () => {
  expect(fieldTitle('url_base', language.field('HttpRequester', 'url_base'))).toBe('Base URL');
  expect(fieldTitle('client_id')).toBe('Client ID');
  expect(componentTitle('KeyTransformation')).toBe('Key transformation');
  for (const [name, component] of components) expect(componentTitle(name, component)).not.toMatch(/[a-z][A-Z](?!L)/);
});

it('the component of a path follows from the language, where its type is not written', () => {
  const doc = parse('streams:\n  - name: a\n    retriever:\n      requester: {path: /a}\n      paginator: {type: DefaultPaginator, pagination_strategy: {type: PageIncrement}}\n');
  expect(language.place(doc, ['streams', 0, 'retriever', 'requester', 'path'])).toMatchObject({ component: 'HttpRequester', type: 'template' });
  expect(language.place(doc, ['streams', 0, 'retriever', 'paginator', 'pagination_strategy', 'page_size']).component).toBe('PageIncrement');
  expect(language.place(doc, ['spec']).type).toBe('Spec');
});
