/**
 * The texts of the interface in the viewer's language. The English sentence is the key; a catalogue maps it to the
 * translation, and a sentence without a translation stays English. English itself needs no catalogue.
 *
 *     t('Sync of {name} started.', { name })
 *     plural(streams.length, '{count} stream', '{count} streams')
 *
 * Call them while a component renders, not when its module loads: the catalogue comes later.
 */

export type Values = Readonly<Record<string, string | number>>;

/** A translation: a sentence, or, where a number decides, a sentence for each plural form of the language. */
export type Translation = string | Partial<Record<Intl.LDMLPluralRule, string>>;
export type Catalogue = Readonly<Record<string, Translation>>;

const KEY = 'kitestring.language';
const ENGLISH = 'en';

/** A file for each language, `translations/de.json`, loaded only for those who read it. */
const FILES = import.meta.glob<Catalogue>('./translations/*.json', { import: 'default' });

let language = ENGLISH;
let catalogue: Catalogue = {};
let plurals = new Intl.PluralRules(ENGLISH);
let numbers = new Intl.NumberFormat(ENGLISH);

/** The sentence in the viewer's language, with its {placeholders} filled. Numbers are written as the language writes them. */
export function t(sentence: string, values?: Values): string {
  const translation = catalogue[sentence];
  return fill(typeof translation === 'string' ? translation : sentence, values);
}

/** The sentence for a number of things. The first sentence is the key; `{count}` stands for the number. */
export function plural(count: number, singular: string, several: string, values?: Values): string {
  const translation = catalogue[singular];
  const form = plurals.select(count);
  let sentence = form === 'one' ? singular : several;
  if (typeof translation === 'string') sentence = translation;
  else if (translation) sentence = translation[form] ?? translation.other ?? sentence;
  return fill(sentence, { count, ...values });
}

function fill(sentence: string, values?: Values): string {
  if (!values) return sentence;
  return sentence.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
    const value = values[name];
    if (value === undefined) return placeholder;
    return typeof value === 'number' ? numbers.format(value) : value;
  });
}

/** The language of the texts, numbers and dates: `en`, `de`, `pt-BR`. */
export function currentLanguage(): string {
  return language;
}

/** The languages that can be chosen. */
export function languages(): string[] {
  return [ENGLISH, ...Object.keys(FILES).map(codeOf)];
}

/** Show the texts of a catalogue from now on. */
export function setCatalogue(code: string, translations: Catalogue): void {
  language = code;
  catalogue = translations;
  plurals = new Intl.PluralRules(code);
  numbers = new Intl.NumberFormat(code);
  if (typeof document !== 'undefined') document.documentElement.lang = code;
}

/** Load the language of the viewer: the chosen one, else the first of the browser's that there is a catalogue for. */
export async function loadLanguage(): Promise<void> {
  const code = preferred([localStorage.getItem(KEY) ?? '', ...navigator.languages], languages());
  const load = FILES[`./translations/${code}.json`];
  // A catalogue that does not load is no reason to show nothing: the texts stay English.
  const translations = await load?.().catch(() => undefined);
  if (translations) setCatalogue(code, translations);
}

/** Choose a language for this browser. The page is loaded again, so that each text of it changes. */
export function chooseLanguage(code: string): void {
  localStorage.setItem(KEY, code);
  window.location.reload();
}

/** The first wish that is available: `de-AT` is content with `de`. */
export function preferred(wishes: readonly string[], available: readonly string[]): string {
  for (const wish of wishes) {
    const code = available.find((option) => option === wish) ?? available.find((option) => option === wish.split('-')[0]);
    if (code) return code;
  }
  return ENGLISH;
}

function codeOf(path: string): string {
  return path.replace(/^.*\/|\.json$/g, '');
}
