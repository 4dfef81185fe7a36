/** The form of every component of the language shows each of its fields, and each value as it is. */
import { MantineProvider } from '@mantine/core';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { renderToStaticMarkup } from 'react-dom/server';
import { describe, expect, it, vi } from 'vitest';

import { parse, type Path } from '../document/document';
import { fieldTitle, Language, type LanguageData } from '../document/language';
import { layoutOf, writeBlock } from '../document/layout';
import { AuthForm } from './AuthForm';
import { ComponentForm, FormScope } from './ComponentForm';
import { ErrorFields } from './ErrorFields';
import { FieldForm } from './FieldForm';
import { IncrementalFields } from './IncrementalFields';
import { InputsForm } from './InputsForm';
import { initialValue, newComponent, optionFor, optionsOf } from './kinds';
import { PaginationFields } from './PaginationFields';
import { SchemaFields } from './SchemaFields';
import { StreamForm } from './StreamForm';

vi.setConfig({ testTimeout: 60_000 });

const python = process.env.KITESTRING_PYTHON ?? '.venv/bin/python';
const code = 'import json; from kitestring.declarative.builder.language import language; print(json.dumps(language()))';
const language = new Language(JSON.parse(execFileSync(python, ['-c', code], { encoding: 'utf-8', cwd: '../..', maxBuffer: 2 ** 26 })) as LanguageData);
const components = Object.entries(language.data.components);

function markup(text: string, path: Path): string {
  const doc = parse(text);
  return renderToStaticMarkup(
    <MantineProvider>
      <ComponentForm doc={doc} path={path} schema={language} edit={() => undefined} />
    </MantineProvider>,
  )
    .replace(/<style[^>]*>.*?<\/style>/gs, '')
    .replaceAll('&amp;', '&')
    .replaceAll('&#x27;', "'")
    .replaceAll('&quot;', '"');
}

/** A manifest with a component that has a value in each field. */
function filled(name: string): string {
  const component = language.component(name)!;
  const value: Record<string, unknown> = component.typeless ? {} : { type: name };
  for (const [field, facts] of Object.entries(component.fields)) {
    const [option] = optionsOf(language, facts.type);
    const initial = initialValue(language, option!);
    value[field] = initial === '' ? `text of ${field}` : (initial ?? (option!.kind === 'yaml' ? { note: field } : 7));
  }
  return writeBlock({ streams: [value] }, 0, layoutOf(parse('').tree)) + '\n';
}

describe.each(components)('%s', (name, component) => {
  it('has an input or a place for each field', () => {
    if (component.typeless || name === 'DeclarativeSource') return;
    const html = markup(filled(name), ['streams', 0]);
    if (component.python) return expect(html).toContain('textarea');
    for (const [field, facts] of Object.entries(component.fields)) {
      expect(html, field).toContain(fieldTitle(field, facts));
      expect(optionFor(optionsOf(language, facts.type), undefined), field).toBeDefined();
      if (html.includes(`text of ${field}`)) continue;
      // What is no text is a group, a list, a switch, a choice or YAML.
      expect(html).toMatch(/role="group"|type="checkbox"|<textarea|<input/);
    }
  });

  it('begins with what it needs', () => {
    const value = newComponent(language, name);
    for (const [field, facts] of Object.entries(component.fields)) {
      const [option] = optionsOf(language, facts.type);
      if (facts.required && option!.kind !== 'yaml' && option!.kind !== 'integer' && option!.kind !== 'number') expect(value, field).toHaveProperty(field);
    }
  });
});

const FOLDER = '../sources/manifests/';
it.each(readdirSync(FOLDER).filter((name) => name.endsWith('.yaml')).slice(0, 6))('%s: its parts have forms', (file) => {
  const text = readFileSync(FOLDER + file, 'utf-8');
  const doc = parse(text);
  for (const path of [['spec'], ['check'], ['streams', 0], ['streams', doc.count(['streams']) - 1, 'retriever', 'requester']] as Path[]) {
    if (doc.get(path) !== undefined) expect(markup(text, path)).toMatch(/<input|<textarea/);
  }
});

it('a new part of a request has no empty name that collides with its path', () => {
  expect(newComponent(language, 'RequestOption')).toEqual({ type: 'RequestOption', inject_into: 'request_parameter' });
});

it('only a value in a JSON body has a path', () => {
  const option = (place: string) => markup(`streams:\n  - {type: RequestOption, inject_into: ${place}, field_name: since}\n`, ['streams', 0]);
  expect(option('body_json')).toContain('Path');
  expect(option('header')).not.toContain('Path');
});

it('a part that is shared says by how many, and a reference is followed', () => {
  const text = `definitions:
  requester: {type: HttpRequester, url_base: "https://api.example.com"}
streams:
  - {type: DeclarativeStream, name: a, retriever: {type: SimpleRetriever, requester: {$ref: "#/definitions/requester", path: /a}}}
  - {type: DeclarativeStream, name: b, retriever: {type: SimpleRetriever, requester: "#/definitions/requester"}}
`;
  for (const stream of [0, 1]) {
    const html = markup(text, ['streams', stream, 'retriever', 'requester']);
    expect(html).toContain('shared by 2 places');
    expect(html).toContain('All 2 places');
    expect(html).toContain('https://api.example.com');
  }
  expect(markup(text, ['streams', 0])).not.toContain('shared by');
});

it('a stream has its parts, and the whole connector its authentication and inputs', () => {
  const text = readFileSync(FOLDER + 'github.yaml', 'utf-8');
  const doc = parse(text);
  const common = { doc, schema: language, edit: () => undefined };
  const html = (element: React.ReactNode) => renderToStaticMarkup(<MantineProvider>{element}</MantineProvider>);
  for (let index = 0; index < doc.count(['streams']); index += 5) {
    const stream = html(<StreamForm {...common} path={['streams', index]} />);
    for (const part of ['Request', 'Records', 'Pagination', 'Incremental sync', 'Partitions', 'Schema']) expect(stream).toContain(part);
  }
  expect(html(<AuthForm {...common} />)).toContain('Kind');
  expect(html(<InputsForm {...common} />)).toContain('Name of a new input');
  for (const [Part, path] of [[PaginationFields, ['retriever', 'paginator']], [IncrementalFields, ['incremental_sync']], [SchemaFields, ['schema_loader']], [ErrorFields, ['retriever', 'requester', 'error_handler']]] as const) {
    expect(html(<FormScope {...common}><Part path={['streams', 0, ...path]} /></FormScope>).length).toBeGreaterThan(100);
  }
  const transformations = <FieldForm path={['streams', 0, 'transformations']} name="transformations" field={language.field('DeclarativeStream', 'transformations')} />;
  expect(html(<FormScope {...common}>{transformations}</FormScope>).length).toBeGreaterThan(100);
});
