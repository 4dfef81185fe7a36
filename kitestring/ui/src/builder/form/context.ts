/** What every part of a form gets. */
import { createContext, useContext } from 'react';

import type { Doc, EditOptions, Path, Splice, Where } from '../document/document';
import { fieldTitle, type Language, type LanguageComponent } from '../document/language';
import { t } from '../../text';
import type { Defect } from '../editor/manifestStore';

export interface FormProps {
  doc: Doc;
  path: Path;
  schema: Language;
  edit: (splices: Splice[]) => void;
  defects?: readonly Defect[];
  /** Nothing can be edited: the text is broken, or it may not be changed. */
  disabled?: boolean;
}

export interface FormContext {
  doc: Doc;
  schema: Language;
  edit: (splices: Splice[]) => void;
  defects: readonly Defect[];
  disabled: boolean;
  /** Where inherited values are edited. */
  where: Where;
  /** The references that a part around has shown. */
  covered: readonly string[];
}

export const Form = createContext<FormContext | undefined>(undefined);

export function useForm(): FormContext {
  const form = useContext(Form);
  if (!form) throw new Error('no form around');
  return form;
}

/** The value at a path, and how it is changed. */
export function useField(path: Path) {
  const { doc, schema, edit, where, disabled, defects } = useForm();
  const { component } = schema.place(doc, path);
  const options: EditOptions = { where, order: component === undefined ? undefined : schema.order(component) };
  return {
    value: doc.get(path),
    disabled,
    error: inFormWords(defectAt(defects, path), schema.component(schema.place(doc, [...path, '']).component ?? component ?? '')),
    set: (value: unknown) => edit(doc.set(path, value, options)),
    remove: () => edit(doc.remove(path, options)),
    setSource: (text: string) => edit(doc.setSource(path, text, options)),
  };
}

/** A path as the server writes it in defects: `streams[0].retriever`. */
export const pathText = (path: Path): string => path.map((key, index) => (typeof key === 'number' ? `[${key}]` : index > 0 ? `.${key}` : key)).join('');

export function defectAt(defects: readonly Defect[], path: Path): string | undefined {
  const place = pathText(path);
  const defect = defects.find((candidate) => candidate.path === place);
  return defect && (defect.hint ? `${defect.message}. ${defect.hint}` : defect.message);
}

/** The message of a defect for the form: it names fields by their labels, and the form is the place to correct it. */
export function inFormWords(message: string | undefined, component: LanguageComponent | undefined): string | undefined {
  return message
    ?.replace(/ Correct the manifest at this place\.$/, '')
    .replace(/`(\w+)`/g, (code, name: string) => (component && Object.hasOwn(component.fields, name) ? `“${t(fieldTitle(name, component.fields[name]))}”` : code));
}

/** Whether a defect is at a path or below it. */
export function hasDefect(defects: readonly Defect[], path: Path): boolean {
  const place = pathText(path);
  return defects.some((defect) => defect.path === place || defect.path.startsWith(`${place}.`) || defect.path.startsWith(`${place}[`));
}

/** The id of a field's input. */
export const idOf = (path: Path) => `builder-${pathText(path).replace(/[^\w-]/g, '-')}`;
