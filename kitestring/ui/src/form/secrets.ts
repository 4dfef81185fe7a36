/** The values of a connector's form without its secrets: what may be kept in the browser. */
import { type Schema, type Values, resolveSchema } from './schema';

/** Leaves out every field that is secret in any of the schema's variants, and what the schema does not know. */
export function withoutSecrets(values: Values, schema: Schema): Values {
  return clean(values, resolveSchema(schema)) as Values;
}

function clean(value: unknown, schema: Schema | undefined): unknown {
  if (schema === undefined || schema.airbyte_secret) return undefined;
  const variants = [schema, ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])];
  if (variants.some((variant) => variant.airbyte_secret)) return undefined;
  if (Array.isArray(value)) return value.map((item) => clean(item, schema.items)).filter((item) => item !== undefined);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, item]) => {
    const schemas = variants.map((variant) => variant.properties?.[name]).filter((property) => property !== undefined);
    const kept = schemas.length > 0 && schemas.every((property) => clean(item, property) !== undefined);
    return [name, kept ? clean(item, schemas[0]) : undefined] as const;
  });
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined));
}
