/**
 * Scalars as the server reads them (PyYAML: YAML 1.1 with its own patterns), and texts written so that every reader takes
 * them for texts.
 */
export type Plain = string | number | boolean | null;

/** Source: the implicit resolvers of PyYAML 6. */
const NULL = /^(?:~|null|Null|NULL|)$/;
const BOOLEAN = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const TRUE = /^(?:yes|true|on)$/i;
const INTEGER = /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const FLOAT =
  /^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const TIMESTAMP = /^\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)?$/;

/** What a plain scalar means. A timestamp stays the text that it is. */
export function plainValue(text: string): Plain {
  if (NULL.test(text)) return null;
  if (BOOLEAN.test(text)) return TRUE.test(text);
  if (INTEGER.test(text)) return integer(text.replace(/_/g, ''));
  if (FLOAT.test(text)) return float(text.replace(/_/g, '').toLowerCase());
  return text;
}

function integer(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replace(/^[-+]/, '');
  if (digits.includes(':')) return sign * sexagesimal(digits);
  if (digits === '0') return 0;
  if (digits.startsWith('0b')) return sign * parseInt(digits.slice(2), 2);
  if (digits.startsWith('0x')) return sign * parseInt(digits.slice(2), 16);
  if (digits.startsWith('0')) return sign * parseInt(digits, 8);
  return sign * Number(digits);
}

function float(text: string): number {
  if (text.endsWith('inf')) return text.startsWith('-') ? -Infinity : Infinity;
  if (text.endsWith('nan')) return NaN;
  const sign = text.startsWith('-') ? -1 : 1;
  const digits = text.replace(/^[-+]/, '');
  return sign * (digits.includes(':') ? sexagesimal(digits) : Number(digits));
}

function sexagesimal(text: string): number {
  return text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** Whether a plain scalar of this text is a text for the server and for readers of YAML 1.2. */
function isText(text: string): boolean {
  if (typeof plainValue(text) !== 'string' || TIMESTAMP.test(text)) return false;
  return !/^(?:y|Y|n|N|=|<<)$|^[-+]?(?:\d|\.\d)[\d_]*\.?\d*(?:[eE][-+]?\d+)?$|^0o[0-7]+$/.test(text);
}

export type Quote = 'single' | 'double';

/** How a scalar is written. */
export interface ScalarStyle {
  /** In `{}` or `[]`. */
  flow?: boolean;
  /** A text that is quoted where others are plain. */
  quote?: Quote;
  /** The quote where one is needed. */
  preferred?: Quote;
}

// eslint-disable-next-line no-control-regex
const SPECIAL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const LONE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const SPECIALS = new RegExp(SPECIAL.source, 'g');

/** A scalar in one line. */
export function writeScalar(value: Plain, style: ScalarStyle = {}): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return writeNumber(value);
  if (SPECIAL.test(value)) return double(value);
  if (!style.quote && isSafe(value, style.flow ?? false)) return value;
  // The text's own quotes decide before the habit of the document does.
  const clean = !/['"\\]/.test(value);
  const expected = style.quote ?? style.preferred ?? 'double';
  const quote = clean ? expected : !value.includes("'") ? 'single' : !/["\\]/.test(value) ? 'double' : expected;
  if (style.quote === 'single' || (quote === 'single' && style.quote !== 'double')) return `'${value.replace(/'/g, "''")}'`;
  return double(value);
}

/** Half of a character cannot be written: U+FFFD, as everywhere else. */
function double(value: string): string {
  value = value.replace(LONE, '\ufffd');
  return JSON.stringify(value).replace(SPECIALS, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function writeNumber(value: number): string {
  if (Number.isNaN(value)) return '.nan';
  if (!Number.isFinite(value)) return value < 0 ? '-.inf' : '.inf';
  if (Object.is(value, -0)) return '-0.0';
  // PyYAML takes 1e+21 for a text: a float has a point.
  return String(value).replace(/^(-?\d+)(e.*)$/, '$1.0$2');
}

/** Whether a text may stand plain. */
function isSafe(text: string, flow: boolean): boolean {
  if (text === '' || text !== text.trim() || /\s$|^\s/.test(text) || !isText(text)) return false;
  if (/^[?:\-](?:\s|$)|^[,[\]{}#&*!|>'"%@`]|^(?:---|\.\.\.)/.test(text)) return false;
  if (/:(?:\s|$)|\s#/.test(text)) return false;
  return !flow || !/[,[\]{}:?#&*!]|^-/.test(text);
}

/** Whether a text of several lines can be a block scalar: `|`. */
export function fitsLiteral(text: string): boolean {
  return /\S/.test(text) && !/\n\n$/.test(text) && !/^\n|^[ \t]/.test(text) && !SPECIAL.test(text.replace(/[\n\t]/g, ''));
}
