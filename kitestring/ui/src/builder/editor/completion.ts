/** Completion and help of the YAML editor, from the language: fields, types, values, references and names of streams. */
import { type Completion, type CompletionContext, type CompletionResult, startCompletion } from '@codemirror/autocomplete';
import type { EditorState } from '@codemirror/state';
import type { EditorView, Tooltip } from '@codemirror/view';

import type { Doc } from '../document/document';
import { componentTitle, type FieldType, type Language, type LanguageField } from '../document/language';
import { writeScalar } from '../document/scalar';
import { type Place, placeAt } from './context';

/** The place of an offset in a state's text. */
function placeOf(state: EditorState, offset: number): Place {
  const line = state.doc.lineAt(offset);
  return placeAt((number) => state.doc.line(number).text, state.doc.lines, line.number, offset - line.from);
}

/** The component of the innermost object of a place, and the field that its key names. */
function facts(language: Language, place: Place, key: string): { component: string | undefined; field: LanguageField | undefined; type: FieldType | undefined } {
  const keys = place.path.map((step, index) => (typeof step === 'string' ? place.path.slice(0, index).filter((before) => typeof before === 'string').length : -1));
  const inner = place.siblings.length - 1;
  const { component, type } = language.placeBy([...place.path, key], (length) => Object.fromEntries(place.siblings[keys[length] ?? inner] ?? []));
  return { component, field: component === undefined ? undefined : language.field(component, key), type };
}

export function completions(context: CompletionContext, language: Language, doc: () => Doc): CompletionResult | null {
  const { state, pos } = context;
  const line = state.doc.lineAt(pos);
  const before = line.text.slice(0, pos - line.from);
  if (/(?:^|\s)#/.test(before.replace(/(["']).*?\1/g, ''))) return null;
  const place = placeOf(state, pos);
  if (place.key !== undefined) {
    const typed = /(?:^|[:\s[,])\s*(["']?[^\s[,]*)$/.exec(before)?.[1] ?? '';
    const options = values(language, place, place.key, doc());
    return options.length > 0 ? { from: pos - typed.length, options } : null;
  }
  const typed = /^\s*(?:- +)*([\w$]*)$/.exec(before);
  if (!typed || (!context.explicit && typed[1] === '' && !/^\s*(?:- +)*$/.test(before))) return null;
  const options = fields(language, place);
  // The items of a list of texts, such as the names of streams in the check.
  if (/^\s*- +/.test(before)) {
    const key = place.path.findLast((step) => typeof step === 'string');
    if (key !== undefined && place.path.at(-1) !== key) options.push(...values(language, { ...place, path: place.path.slice(0, place.path.lastIndexOf(key)), siblings: place.siblings.slice(0, -1) }, String(key), doc()));
  }
  return options.length > 0 ? { from: pos - typed[1]!.length, options, validFor: /^[\w$]*$/ } : null;
}

/** The fields that the object of a place does not have yet. */
function fields(language: Language, place: Place): Completion[] {
  const { component } = facts(language, place, 'type');
  const present = place.siblings.at(-1)!;
  const options: Completion[] = [];
  const add = (name: string, field?: LanguageField) => {
    if (present.has(name)) return;
    const nested = field !== undefined && isNested(language, field.type);
    options.push({
      label: name,
      detail: field?.required ? 'required' : field?.own ? 'Kitestring' : undefined,
      info: field?.summary,
      boost: field?.required ? 2 : field?.common ? 1 : field?.deprecated ? -5 : 0,
      type: 'property',
      apply: (view, _, from, to) => insert(view, from, to, nested ? `${name}:` : `${name}: `, !nested),
    });
  };
  const definition = component === undefined ? undefined : language.component(component);
  if (component === undefined) {
    if (place.path.length > 0) add('type');
  } else if (!definition?.typeless && component !== 'DeclarativeSource') add('type');
  for (const [name, field] of Object.entries(definition?.fields ?? {})) add(name, field);
  if (place.path.length > 0 && component !== undefined) for (const name of ['$ref', '$parameters']) add(name);
  return options;
}

/** Whether a field's value stands in lines of its own. */
function isNested(language: Language, type: FieldType): boolean {
  return language.alternatives(type).every((option) => (typeof option === 'string' ? option === 'object' || option === 'schema' || language.component(option) !== undefined : !('enum' in option)));
}

function insert(view: EditorView, from: number, to: number, text: string, more: boolean) {
  view.dispatch({ changes: { from, to, insert: text }, selection: { anchor: from + text.length }, userEvent: 'input.complete' });
  if (more) startCompletion(view);
}

/** The values that a key of a place may have. */
function values(language: Language, place: Place, key: string, doc: Doc): Completion[] {
  if (key === '$ref') return references(doc);
  if (key === 'type') return types(language, place);
  if (key === 'stream_names') return streamNames(doc).map((name) => ({ label: writeScalar(name, { flow: true }), type: 'text' }));
  const { field, type } = facts(language, place, key);
  const options: Completion[] = [];
  for (const option of type === undefined ? [] : language.alternatives(type)) {
    if (option === 'boolean') for (const word of ['true', 'false']) options.push({ label: word, type: 'keyword', detail: String(field?.default) === word ? 'default' : undefined });
    else if (typeof option === 'object' && 'enum' in option) {
      for (const value of option.enum) options.push({ label: writeScalar(value as string), type: 'enum', detail: field?.default === value ? 'default' : undefined });
    }
  }
  for (const value of field?.suggestions ?? []) options.push({ label: writeScalar(value), type: 'constant' });
  return options;
}

function types(language: Language, place: Place): Completion[] {
  const last = place.path.at(-1);
  const keys = place.path.map((step, index) => (typeof step === 'string' ? place.path.slice(0, index).filter((before) => typeof before === 'string').length : -1));
  const { type } = language.placeBy(place.path, (length) => Object.fromEntries(place.siblings[keys[length]!] ?? []));
  const names = type === undefined ? (last === undefined ? ['DeclarativeSource'] : Object.keys(language.data.components)) : language.components(type);
  return names
    .filter((name) => !language.component(name)?.typeless)
    .map((name) => ({ label: name, type: 'class', detail: language.component(name)?.title && componentTitle(name, language.component(name)), info: language.component(name)?.summary }));
}

function references(doc: Doc): Completion[] {
  const options: Completion[] = [];
  for (const root of ['definitions', 'schemas']) {
    const add = (path: string[], depth: number) => {
      for (const name of doc.keys(path)) {
        const below = [...path, name];
        const type = doc.get([...below, 'type']);
        const isGroup = typeof type !== 'string' && doc.keys(below).length > 0 && depth < 1;
        options.push({ label: `"#/${below.join('/')}"`, type: 'variable', detail: typeof type === 'string' ? type : undefined });
        if (isGroup) add(below, depth + 1);
      }
    };
    add([root], 0);
  }
  return options;
}

export function streamNames(doc: Doc): string[] {
  return Array.from({ length: doc.count(['streams']) }, (_, index) => doc.get(['streams', index, 'name'])).filter((name): name is string => typeof name === 'string');
}

/** What the word at an offset means. */
export function help(state: EditorState, offset: number, language: Language): Tooltip | null {
  const line = state.doc.lineAt(offset);
  const match = /^(\s*(?:- +)*)([\w$]+)(:\s+)?(\w+)?/.exec(line.text);
  if (!match) return null;
  const [, indent = '', key = '', colon = '', value = ''] = match;
  const column = offset - line.from;
  const start = indent.length;
  if (column >= start && column <= start + key.length) {
    const place = placeAt((number) => state.doc.line(number).text, state.doc.lines, line.number, start + key.length);
    const { field, component } = facts(language, place, key);
    return field ? tooltip(line.from + start, line.from + start + key.length, component ?? '', field.summary) : null;
  }
  const from = start + key.length + colon.length;
  const component = key === 'type' && column >= from && column <= from + value.length ? language.component(value) : undefined;
  return component ? tooltip(line.from + from, line.from + from + value.length, componentTitle(value, component), component.summary) : null;
}

function tooltip(from: number, to: number, title: string, text: string): Tooltip {
  return {
    pos: from,
    end: to,
    above: true,
    create: () => {
      const dom = document.createElement('div');
      dom.className = 'manifest-help';
      const head = document.createElement('strong');
      head.textContent = title;
      dom.append(head, document.createElement('br'), text.replaceAll('`', ''));
      return { dom };
    },
  };
}
