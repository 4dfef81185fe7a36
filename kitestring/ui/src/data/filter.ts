/**
 * The filter of rows: as text in the address, as a mapping for the server, and as conditions that can be removed.
 *
 *     status=new price>=3 subject == "a b"      conditions, all of which must hold
 *     {"or": [{"status": "new"}, …]}            JSON, with every comparison
 *
 * Any other text is passed on: a vector store may have a language of its own.
 */

export type Where = Record<string, unknown>;

const OPERATORS: Record<string, string> = { '=': 'eq', '==': 'eq', '!=': 'ne', '>': 'gt', '>=': 'gte', '<': 'lt', '<=': 'lte' };
const SIGNS: Record<string, string> = { eq: '=', ne: '≠', gt: '>', gte: '≥', lt: '<', lte: '≤', contains: '∋', contains_any: '∋', in: '∈', not_in: '∉' };
const CONDITION = /\s*([A-Za-z_$][\w.$]*)\s*(==|!=|>=|<=|=|>|<)\s*("(?:[^"\\]|\\.)*"|[^\s"=<>!][^\s"]*)(?:\s+(?:and|AND)\b|\s*&&)?/y;

/** The filter for the server: a mapping, a text in the store's own language, or null for none. */
export function parseFilter(text: string): Where | string | null {
  const trimmed = text.trim();
  if (!trimmed) return null;
  if (trimmed.startsWith('{')) {
    const written = parseValue(trimmed);
    return typeof written === 'object' && written !== null ? (written as Where) : trimmed;
  }
  return conditionsIn(trimmed) ?? trimmed;
}

function conditionsIn(text: string): Where | null {
  const filter: Where = {};
  let rest = 0;
  while (rest < text.length) {
    CONDITION.lastIndex = rest;
    const match = CONDITION.exec(text);
    if (!match) return null;
    add(filter, match[1]!, OPERATORS[match[2]!]!, parseValue(match[3]!));
    rest = CONDITION.lastIndex;
    if (!text.slice(rest).trim()) break;
  }
  // A text that ends with a connective waits for another condition.
  return /(\band|\bAND|&&)\s*$/.test(text) ? null : filter;
}

function add(filter: Where, field: string, operator: string, value: unknown): void {
  const before = filter[field];
  if (operator === 'eq') {
    // Several values of one field: any of them.
    if (before === undefined) filter[field] = value;
    else if (isComparison(before)) filter[field] = { ...before, eq: value };
    else filter[field] = [...(Array.isArray(before) ? (before as unknown[]) : [before]), value];
  } else if (before === undefined) filter[field] = { [operator]: value };
  else filter[field] = { ...(isComparison(before) ? before : { in: Array.isArray(before) ? before : [before] }), [operator]: value };
}

function isComparison(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** The filter with one more condition. A text in the store's own language is replaced: the two cannot be joined. */
export function withCondition(text: string, field: string, value: unknown): string {
  const filter = parseFilter(text);
  const before: Where = filter === null || typeof filter === 'string' ? {} : { ...filter };
  const condition = Array.isArray(value) ? { contains: (value as unknown[])[0] } : value;
  return formatFilter({ ...before, [field]: condition });
}

/** The filter without the conditions on this field. */
export function withoutCondition(text: string, field: string): string {
  const filter = parseFilter(text);
  if (filter === null || typeof filter === 'string') return '';
  return formatFilter(Object.fromEntries(Object.entries(filter).filter(([name]) => name !== field)));
}

/** A filter as text: the short form where it has one, else JSON. */
export function formatFilter(filter: Where): string {
  const parts: string[] = [];
  for (const [field, condition] of Object.entries(filter)) {
    for (const value of Array.isArray(condition) ? (condition as unknown[]) : [condition]) {
      const plain = ['string', 'number', 'boolean'].includes(typeof value);
      if (!plain || !/^[A-Za-z_$][\w.$]*$/.test(field)) return JSON.stringify(filter);
      parts.push(`${field}=${short(value as string | number | boolean)}`);
    }
  }
  return parts.join(' ');
}

function short(value: string | number | boolean): string {
  if (typeof value !== 'string') return String(value);
  // A text that would be read as a number, or has a space, stands in quotes.
  return /^[^\s"{[\\=<>!&]+$/.test(value) && typeof parseValue(value) === 'string' ? value : JSON.stringify(value);
}

export interface Condition {
  field: string;
  label: string;
}

/** The conditions of a filter, each of which can be removed. A text in the store's own language is one condition. */
export function conditionsOf(text: string): Condition[] {
  const filter = parseFilter(text);
  if (filter === null) return [];
  if (typeof filter === 'string') return [{ field: '', label: filter }];
  return Object.entries(filter).map(([field, condition]) => ({ field, label: labelOf(field, condition) }));
}

function labelOf(field: string, condition: unknown): string {
  if (!isComparison(condition)) {
    const values = Array.isArray(condition) ? (condition as unknown[]) : [condition];
    return `${field} = ${values.map(textOf).join(' | ')}`;
  }
  const known = Object.entries(condition).every(([operator]) => operator in SIGNS);
  if (!known) return `${field}: ${JSON.stringify(condition)}`;
  return Object.entries(condition)
    .map(([operator, value]) => `${field} ${SIGNS[operator]} ${textOf(value)}`)
    .join(', ');
}

function textOf(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}
