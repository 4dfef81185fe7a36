/** A text, a number, a choice or a switch. */
import { Autocomplete, Checkbox, Select, Textarea, TextInput } from '@mantine/core';

import type { Path } from '../document/document';
import type { LanguageField } from '../document/language';
import { t } from '../../text';
import { idOf, useField } from './context';
import type { Option } from './kinds';
import { useTyped } from './useTyped';

export interface InputProps {
  path: Path;
  label: React.ReactNode;
  /** The label as a text. */
  name: string;
  field: LanguageField | undefined;
  option: Option;
}

/** The values of the language that are no words of their own. */
function wordsOf(value: string): string {
  const places: Record<string, string> = {
    request_parameter: t('Query parameter'), header: t('Header'), body_data: t('Form body'), body_json: t('JSON body'),
  }; // prettier-ignore
  if (places[value]) return places[value];
  // AFTER_SUCCESSFUL_PAGE and property_count; GET, HS256 and oauth2.0 stay.
  return value.includes('_') ? value.toLowerCase().replaceAll('_', ' ').replace(/^./, (letter) => letter.toUpperCase()) : value;
}

/** What a number or a template is, as it is typed. */
function scalarOf(text: string, kind: string): unknown {
  const number = Number(text);
  const isNumber = text.trim() !== '' && String(number) === text.trim();
  return (kind === 'number' || kind === 'integer') && Number.isFinite(number) && text.trim() !== '' && !/[{]/.test(text) ? number : kind === 'template' && isNumber ? number : text;
}

export function ScalarField({ path, label, name, field, option }: InputProps) {
  const { value, set, remove, error, disabled } = useField(path);
  const optional = !field?.required;
  const typed = useTyped(
    value === undefined || value === null ? '' : String(value),
    (text) => set(typeof value === 'number' || option.kind !== 'template' ? scalarOf(text, option.kind) : text),
    (text) => {
      if (text !== '' || !optional) return false;
      if (value !== undefined) remove();
      return true;
    },
  );
  const shared = { id: idOf(path), label, error, disabled, 'aria-label': typeof label === 'string' ? undefined : name };
  const hint = field?.default === undefined ? undefined : t('Default: {value}', { value: String(field.default) });

  if (option.kind === 'boolean') {
    const checked = value === undefined ? field?.default === true : value === true;
    return <Checkbox {...shared} checked={checked} onChange={(event) => (event.currentTarget.checked === (field?.default === true) ? remove() : set(event.currentTarget.checked))} />;
  }
  if (option.kind === 'enum') {
    const data = option.values.map((item) => ({ value: String(item), label: wordsOf(String(item)) }));
    return (
      <Select
        {...shared}
        data={data}
        value={value === undefined ? null : String(value)}
        placeholder={hint ?? t('Choose an option')}
        clearable={optional && value !== undefined}
        clearButtonProps={{ 'aria-label': t('Clear {field}', { field: name }) }}
        allowDeselect={false}
        onChange={(next) => (next === null ? remove() : set(option.values.find((item) => String(item) === next)))}
        maw={420}
      />
    );
  }
  const input = { ...shared, ...typed, placeholder: hint, spellCheck: false, autoComplete: 'off' };
  if (field?.suggestions?.length) {
    return <Autocomplete {...input} data={[...field.suggestions]} onChange={(text) => typed.onChange({ currentTarget: { value: text } })} />;
  }
  if (String(value ?? '').includes('\n')) return <Textarea {...input} autosize minRows={2} maxRows={14} styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }} />;
  return <TextInput {...input} inputMode={option.kind === 'integer' || option.kind === 'number' ? 'decimal' : undefined} maw={option.kind === 'integer' || option.kind === 'number' ? 280 : undefined} />;
}
