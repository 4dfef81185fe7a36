/** Dates in forms: which form a field wants, and what people type. */
import type { Schema } from './schema';

/** The forms of a date, as specs ask for them; the part before the time is always YYYY-MM-DD. */
const FORMS = ['T00:00:00Z', 'T00:00:00.000Z', 'T00:00:00', ' 00:00:00', ''] as const;
export type DateForm = (typeof FORMS)[number];

function accepts(schema: Schema, text: string): boolean {
  if (!schema.pattern) return true;
  try {
    return new RegExp(schema.pattern, 'u').test(text);
  } catch {
    return false;
  }
}

/** What follows the day in a field's value; undefined for a field that holds no date. */
export function dateForm(schema: Schema): DateForm | undefined {
  if (schema.type !== 'string' || schema.airbyte_secret) return undefined;
  const descriptor = String(schema.pattern_descriptor ?? '').toUpperCase();
  const isDate = schema.format === 'date' || schema.format === 'date-time' || descriptor.startsWith('YYYY-MM-DD');
  const example = schema.examples?.find((candidate) => typeof candidate === 'string') as string | undefined;
  // A pattern that takes dates and no other text of their length.
  const byPattern =
    schema.pattern !== undefined &&
    FORMS.some((form) => accepts(schema, `2025-01-31${form}`) && !accepts(schema, `abcd-ef-gh${form}`));
  if (!isDate && !byPattern) return undefined;
  const forms = FORMS.filter((form) => accepts(schema, `2025-01-31${form}`));
  if (schema.format === 'date' && forms.includes('')) return '';
  const length = example?.length ?? (descriptor ? String(schema.pattern_descriptor).length : 20);
  return forms.find((form) => form.length + 10 === length) ?? forms[0];
}

/** A typed date in the form of the field: `2025-01-01`, `1.2.2025`, `2025/1/2 10:30`; undefined for anything else. */
export function readDate(text: string, form: DateForm): string | undefined {
  const trimmed = text.trim();
  const match =
    /^(?<y>\d{4})[-/.](?<m>\d{1,2})[-/.](?<d>\d{1,2})(?:[T ]+(?<t>\d{1,2}:\d{2}(?::\d{2})?)(?:\.\d+)?(?<z>Z|[+-]\d{2}:?\d{2})?)?$/i.exec(trimmed) ??
    /^(?<d>\d{1,2})\.(?<m>\d{1,2})\.(?<y>\d{4})(?:[T ]+(?<t>\d{1,2}:\d{2}(?::\d{2})?))?$/.exec(trimmed);
  if (!match?.groups) return undefined;
  const { y, m, d, t: time = '00:00:00', z = 'Z' } = match.groups;
  const [hours, minutes, seconds = '00'] = time.split(':');
  const two = (part: string) => part.padStart(2, '0');
  const day = `${y}-${two(m!)}-${two(d!)}`;
  const moment = new Date(`${day}T${two(hours!)}:${minutes}:${seconds}${z.toUpperCase()}`);
  // 2025-02-30 is no date, although it has the form of one.
  if (Number.isNaN(moment.getTime()) || new Date(`${day}T00:00:00Z`).toISOString().slice(0, 10) !== day) return undefined;
  const iso = moment.toISOString();
  if (form === '') return day;
  return `${iso.slice(0, 10)}${form.charAt(0)}${iso.slice(11, 19)}${form.slice(9)}`;
}
