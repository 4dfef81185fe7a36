import { expect, it } from 'vitest';

import { parse } from '../document/document';
import { placeAt } from './context';

const TEXT = `version: 6.0.0
definitions:
  base:
    type: HttpRequester
    url_base: x
streams:
  # first
  - type: DeclarativeStream
    name: a
    retriever:
      type: SimpleRetriever
      requester:
        $ref: '#/definitions/base'

        path: /a
    transformations:
    - type: AddFields
      fields:
        - path: [x]
          value: y
    - type: RemoveFields
      field_pointers:
      - [a]
  - type: DeclarativeStream
    name: b
spec:
  type: Spec
`;
const lines = TEXT.split('\n');
const at = (number: number, column = lines[number - 1]!.length) => placeAt((line) => lines[line - 1]!, lines.length, number, column);

it('the path of a line is that of the parsed document', () => {
  const doc = parse(TEXT);
  for (const [index, line] of lines.entries()) {
    const key = /([\w$]+):/.exec(line.replace(/#.*/, ''));
    if (!key || line.trim().startsWith('#')) continue;
    const path = doc.tree.path(doc.tree.nodeAt(lines.slice(0, index).join('\n').length + (index ? 1 : 0) + key.index + key[1]!.length));
    expect([...at(index + 1).path, key[1]], line).toEqual(path);
  }
});

it('the fields around are known, on an empty line too', () => {
  const empty = at(14, 8);
  expect(empty.path).toEqual(['streams', 0, 'retriever', 'requester']);
  expect([...empty.siblings.at(-1)!.keys()].sort()).toEqual(['$ref', 'path']);
  expect(empty.siblings.at(-2)!.get('type')).toBe('SimpleRetriever');
  expect(empty.siblings.map((fields) => fields.get('type'))).toContain('DeclarativeStream');
  expect(empty.key).toBeUndefined();
});

it('behind a colon the key is known', () => {
  expect(at(11).key).toBe('type');
  expect(at(11, 8).key).toBeUndefined();
  expect(at(20)).toMatchObject({ path: ['streams', 0, 'transformations', 0, 'fields', 0], key: 'value' });
});
