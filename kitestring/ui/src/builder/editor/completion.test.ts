/** What the editor offers, by the language as the server sends it. */
import { CompletionContext } from '@codemirror/autocomplete';
import { EditorState } from '@codemirror/state';
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';

import { parse } from '../document/document';
import { Language, type LanguageData } from '../document/language';
import { completions, help } from './completion';

const python = process.env.KITESTRING_PYTHON ?? '.venv/bin/python';
const code = 'import json; from kitestring.declarative.builder.language import language; print(json.dumps(language()))';
const language = new Language(JSON.parse(execFileSync(python, ['-c', code], { encoding: 'utf-8', cwd: '../..', maxBuffer: 2 ** 26 })) as LanguageData);

const BASE = `version: 6.0.0
check:
  type: CheckStream
  stream_names:
    - §1
definitions:
  base:
    type: HttpRequester
  streams:
    list: {type: DeclarativeStream}
streams:
  - type: DeclarativeStream
    name: things
    retriever:
      type: §2
      paginator:
        type: DefaultPaginator
        §3
      requester:
        $ref: §4
        http_method: §5
        use_cache: §6
    §7
    incremental_sync:
      type: DatetimeBasedCursor
      datetime_format: §8
    transformations:
      - type: §9
`;

function offered(mark: number): string[] {
  const text = BASE.replace(new RegExp(`§(?!${mark}\\b)\\d`, 'g'), '');
  const offset = text.indexOf('§');
  const doc = text.replace(/§\d/, '');
  const result = completions(new CompletionContext(EditorState.create({ doc }), offset, true), language, () => parse(doc));
  return result?.options.map((option) => option.label) ?? [];
}

it('fields, types, values, references and streams are offered where they fit', () => {
  expect(offered(1)).toContain('things');
  expect(offered(2)).toEqual(['SimpleRetriever', 'AsyncRetriever', 'CustomRetriever']);
  expect(offered(3)).toEqual(expect.arrayContaining(['pagination_strategy', 'page_token_option', '$ref']));
  expect(offered(3)).not.toContain('type');
  expect(offered(4)).toEqual(expect.arrayContaining(['"#/definitions/base"', '"#/definitions/streams/list"']));
  expect(offered(5)).toEqual(expect.arrayContaining(['GET', 'POST']));
  expect(offered(6)).toEqual(['true', 'false']);
  expect(offered(7)).toEqual(expect.arrayContaining(['primary_key', 'schema_loader', '$parameters']));
  expect(offered(7)).not.toContain('name');
  expect(offered(8)).toContain('"%Y-%m-%d"');
  expect(offered(9)).toContain('AddFields');
});

it('nothing is offered in comments', () => {
  const doc = 'version: 6.0.0 # the v\n';
  expect(completions(new CompletionContext(EditorState.create({ doc }), 22, true), language, () => parse(doc))).toBeNull();
});

it('a field and a component have their help', () => {
  const doc = BASE.replace(/§\d/g, '');
  const state = EditorState.create({ doc });
  const text = (word: string) => help(state, doc.indexOf(word) + 1, language);
  expect(text('things')).toBeNull();
  expect(text('paginator')).not.toBeNull();
  expect(text('DefaultPaginator')).not.toBeNull();
  expect(text('http_method')).not.toBeNull();
});
