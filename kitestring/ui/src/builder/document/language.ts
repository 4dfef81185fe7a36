/** The components of the low-code language, as the server describes them, and which one stands at a path of a document. */
import type { Doc, Path } from './document';
import { isObject } from './layout';

/** The type of a field: a kind of value, the name of a component, or a list, a table, a choice of such. */
export type FieldType = string | { enum: readonly unknown[] } | { list: FieldType } | { map: FieldType } | { any: readonly FieldType[] };

export interface LanguageField {
  type: FieldType;
  summary: string;
  title?: string;
  required?: boolean;
  /** Stands in front. */
  common?: boolean;
  /** Kitestring's own: Airbyte's engine does not know it. */
  own?: boolean;
  deprecated?: boolean;
  default?: unknown;
  suggestions?: readonly string[];
}

export interface LanguageComponent {
  summary: string;
  fields: Readonly<Record<string, LanguageField>>;
  title?: string;
  /** It has no `type` in a manifest. */
  typeless?: boolean;
  /** It names a class of Python. */
  python?: boolean;
  own?: boolean;
  deprecated?: boolean;
}

/** What `GET /builder/language` answers. */
export interface LanguageData {
  components: Readonly<Record<string, LanguageComponent>>;
  defaultTypes: Readonly<Record<string, string>>;
  customTypes: Readonly<Record<string, string>>;
}

export const ROOT = 'DeclarativeSource';

export class Language {
  constructor(readonly data: LanguageData) {}

  component(name: string): LanguageComponent | undefined {
    return Object.hasOwn(this.data.components, name) ? this.data.components[name] : undefined;
  }

  field(component: string, name: string): LanguageField | undefined {
    const fields = this.component(component)?.fields;
    return fields && Object.hasOwn(fields, name) ? fields[name] : undefined;
  }

  /** The types that a field may have: choices within choices taken together. */
  alternatives(type: FieldType): FieldType[] {
    return typeof type === 'object' && 'any' in type ? type.any.flatMap((inner) => this.alternatives(inner)) : [type];
  }

  /** The names of the components that a field may have. */
  components(type: FieldType): string[] {
    return this.alternatives(type).filter((inner): inner is string => typeof inner === 'string' && this.component(inner) !== undefined);
  }

  /** The order in which the fields of a component are written. */
  order(component: string): string[] {
    return ['type', '$ref', ...Object.keys(this.component(component)?.fields ?? {}), '$parameters'];
  }

  /**
   * The component of an object that stands in a field. `parent` and `name`: the component around and the field; `expected`:
   * the field's type.
   */
  typeOf(value: unknown, expected: FieldType | undefined, parent = '', name = ''): string | undefined {
    const written = isObject(value) ? value.type : undefined;
    if (typeof written === 'string' && this.component(written)) return written;
    const inferred = (isObject(value) && 'class_name' in value ? this.data.customTypes : this.data.defaultTypes)[`${parent}.${name}`];
    if (inferred) return inferred;
    const names = expected === undefined ? [] : this.components(expected);
    return names.length === 1 && (written === undefined || this.component(names[0]!)?.typeless) ? names[0] : undefined;
  }

  /** The field that a path leads to: its type there, and the component that it stands in. */
  place(doc: Pick<Doc, 'get'>, path: Path): { type: FieldType | undefined; component: string | undefined; name: string } {
    return this.placeBy(path, (length) => {
      // Not the value itself, which may be the whole document.
      const before = path.slice(0, length);
      const type = doc.get([...before, 'type']);
      const hasClass = doc.get([...before, 'class_name']) !== undefined;
      return { ...(type !== undefined && { type }), ...(hasClass && { class_name: '' }) };
    });
  }

  /** As `place`; `valueAt` gives the value after so many keys of the path. */
  placeBy(path: Path, valueAt: (length: number) => unknown): { type: FieldType | undefined; component: string | undefined; name: string } {
    let expected: FieldType | undefined = ROOT;
    let component: string | undefined;
    let name = '';
    for (const [index, key] of path.entries()) {
      const options: FieldType[] = expected === undefined ? [] : this.alternatives(expected);
      if (typeof key === 'number') {
        const lists = options.flatMap((option) => (typeof option === 'object' && 'list' in option ? this.alternatives(option.list) : []));
        expected = lists.length === 0 ? undefined : { any: lists };
        continue;
      }
      const value = valueAt(index);
      const table = options.find((option) => typeof option === 'object' && 'map' in option);
      const type = this.typeOf(value, expected, component, name);
      if (type !== undefined) {
        component = type;
        name = key;
        expected = this.field(type, key)?.type;
      } else expected = typeof table === 'object' && 'map' in table ? table.map : undefined;
    }
    return { type: expected, component, name };
  }
}

const WORDS: Record<string, string> = { url: 'URL', http: 'HTTP', api: 'API', oauth: 'OAuth', jwt: 'JWT', id: 'ID', csv: 'CSV', json: 'JSON', xml: 'XML', ids: 'IDs', tcp: 'TCP', iss: 'Issuer (iss)', sub: 'Subject (sub)', aud: 'Audience (aud)' };

/** The label of a field: its title, else its name in words. */
export function fieldTitle(name: string, field?: LanguageField): string {
  if (field?.title) return field.title;
  const words = name.replace(/^\$/, '').split('_').map((word) => WORDS[word] ?? word);
  const sentence = words.join(' ');
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** The name of a component for people: its title, else its name in words. */
export function componentTitle(name: string, component?: LanguageComponent): string {
  if (component?.title) return component.title;
  const words = name.replace(/^(Custom)?/, (custom) => (custom ? 'Python: ' : '')).replace(/([a-z])([A-Z])/g, '$1 $2').split(' ');
  return words.map((word, index) => (index === 0 || /^[A-Z]+$/.test(word) ? word : word.toLowerCase())).join(' ');
}
