/** What a regular expression of a spec asks for, in words. */
import { t } from '../text';
import type { Schema } from './schema';

/** Patterns that specs share, by what they ask for. */
const KNOWN: [RegExp, () => string][] = [
  [/T\[0-9\]|T\\d\{2\}|Thh:mm|T\(\?/, () => t('a date and time such as {example}', { example: '2025-01-01T00:00:00Z' })],
  [/^\^?\(?(\[0-9\]|\\d)\{4\}-(\[0-9\]|\\d)\{2\}-(\[0-9\]|\\d)\{2\}\)?\$?$/, () => t('a date such as {example}', { example: '2025-01-01' })],
  [/\{8\}-.*\{4\}-.*\{12\}/, () => t('an id of 36 characters such as {example}', { example: '0e8cf5c1-6a45-4c0b-9d06-2f4b0ce0f6b1' })],
  [/^\^?https:\\?\/\\?\//, () => t('an address that begins with https://')],
  [/^\^?\(?https\?:\\?\/\\?\//, () => t('an address that begins with https:// or http://')],
  [/^\^s3:\\?\/\\?\//, () => t('an address that begins with s3://')],
  [/^\^?\[?\^?@.*@.*\\\./, () => t('an e-mail address')],
  [/^\^(\[0-9\]|\\d)[+*]\$$/, () => t('digits only')],
  [/^\^(\[0-9\]|\\d)\{(\d+)\}\$$/, () => t('digits only')],
];

const CLASS = /^\^\[((?:\\.|[^\]\\])+)\]([+*]|\{[\d,]+\})\$$/;

/** The sentence for a text that does not have the form that its field asks for. */
export function patternProblem(schema: Schema): string {
  const example = schema.examples?.find((candidate) => typeof candidate === 'string');
  const form = schema.pattern_descriptor ?? formOf(schema.pattern ?? '');
  if (form && example && !form.includes(example)) return t('Enter {form}, for example {example}.', { form, example });
  if (form) return t('Enter {form}.', { form });
  if (example) return t('Enter a value like {example}.', { example });
  return t('This does not have the expected form ({pattern}).', { pattern: schema.pattern ?? '' });
}

/** “a date such as 2025-01-01”; nothing for a pattern that says nothing in words. */
export function formOf(pattern: string): string | undefined {
  const known = KNOWN.find(([expression]) => expression.test(pattern));
  if (known) return known[1]();
  const characters = CLASS.exec(pattern)?.[1];
  return characters === undefined || characters.startsWith('^') ? undefined : t('only {characters}', { characters: inWords(characters) });
}

/** The characters of a class: `a-z0-9_-` → “lower-case letters, digits, _ and -”. */
function inWords(characters: string): string {
  let rest = characters.replaceAll('\\w', 'a-zA-Z0-9_').replaceAll('\\d', '0-9').replaceAll('\\s', ' ');
  const parts: string[] = [];
  const take = (range: string, word: string) => {
    if (!rest.includes(range)) return;
    rest = rest.replaceAll(range, '');
    parts.push(word);
  };
  if (rest.includes('a-z') && rest.includes('A-Z')) {
    take('A-Z', t('letters'));
    rest = rest.replaceAll('a-z', '');
  }
  take('a-z', t('lower-case letters'));
  take('A-Z', t('capital letters'));
  take('0-9', t('digits'));
  for (const character of new Set(rest.replaceAll('\\', ''))) parts.push(character === ' ' ? t('spaces') : character);
  return parts.length > 1 ? t('{items} and {last}', { items: parts.slice(0, -1).join(', '), last: parts.at(-1)! }) : (parts[0] ?? '');
}
