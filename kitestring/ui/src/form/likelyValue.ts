/** The value that was probably meant: a subdomain where an address was pasted, a host without its scheme. */
import type { Schema } from './schema';

/** Fields that hold the first part of an address, by their names. */
const FIRST_LABEL = /(^|_)(subdomain|shop|site_name|account_name|workspace|tenant)$/;
const HOST = /(^|_)(host|hostname|domain|domain_name|server)$/;

/** What to offer instead of a value; undefined where it looks right. */
export function likelyValue(name: string, schema: Schema, value: string): string | undefined {
  const text = value.trim();
  if (text === '' || text.includes('${') || schema.airbyte_secret) return undefined;
  const candidate = candidateFor(name, schema, text) ?? (text === value ? undefined : text);
  return candidate === undefined || candidate === value || !matches(schema, candidate) ? undefined : candidate;
}

function candidateFor(name: string, schema: Schema, text: string): string | undefined {
  const example = String(schema.examples?.find((candidate) => typeof candidate === 'string') ?? '');
  const address = parsed(text);
  if (FIRST_LABEL.test(name) && address && !example.includes('.')) return address.hostname.split('.')[0];
  if (HOST.test(name) && /^https?:\/\//i.test(text) && !example.includes('://') && !schema.pattern?.includes('http')) return address?.host;
  const wantsScheme = /^https?:\/\//.test(example) || /^\^?\(?https/.test(schema.pattern ?? '');
  if (wantsScheme && !text.includes('://') && /^[\w-]+(\.[\w-]+)+(:\d+)?(\/\S*)?$/.test(text)) return `https://${text}`;
  return undefined;
}

/** The address in a text, with or without its scheme. */
function parsed(text: string): URL | undefined {
  if (!/^https?:\/\//i.test(text) && !/^[\w-]+(\.[\w-]+)+(\/\S*)?$/.test(text)) return undefined;
  try {
    return new URL(/^https?:\/\//i.test(text) ? text : `https://${text}`);
  } catch {
    return undefined;
  }
}

function matches(schema: Schema, text: string): boolean {
  if (!schema.pattern) return true;
  try {
    return new RegExp(schema.pattern, 'u').test(text);
  } catch {
    return true;
  }
}
