/** Mappers of a stream, in the form of Airbyte's API: what happens to a record between the source and the destination. */
import { t } from '../text';

export interface Mapper {
  id?: string;
  type: string;
  mapperConfiguration: Record<string, unknown>;
}

export interface Condition {
  type: 'EQUAL' | 'NOT' | 'AND' | 'OR';
  fieldName?: string;
  comparisonValue?: string;
  conditions?: Condition[];
}

/** What can be done, in the order of a menu. */
export const mapperKinds = () => [
  { value: 'hashing', label: t('Hash a field'), note: t('Replaces the value by a hash: equal values stay equal, and nobody can read them.') },
  { value: 'encryption', label: t('Encrypt a field'), note: t('Anyone with the key can decrypt it.') },
  { value: 'field-renaming', label: t('Rename a field'), note: t('Renames it in the destination.') },
  { value: 'field-filtering', label: t('Leave out a field'), note: t('Removes it after the earlier mappers have used it.') },
  { value: 'row-filtering', label: t('Keep only some records'), note: t('Keeps the records for which conditions are true.') },
];

/** A new mapper of a kind, still without its field. */
export function newMapper(type: string): Mapper {
  switch (type) {
    case 'hashing':
      return { type, mapperConfiguration: { targetField: '', method: 'SHA-256', fieldNameSuffix: '_hashed' } };
    case 'encryption':
      return {
        type,
        mapperConfiguration: { algorithm: 'AES', targetField: '', fieldNameSuffix: '_encrypted', key: '', mode: 'GCM', padding: 'NoPadding' },
      };
    case 'field-renaming':
      return { type, mapperConfiguration: { originalFieldName: '', newFieldName: '' } };
    case 'field-filtering':
      return { type, mapperConfiguration: { targetField: '' } };
    default:
      return { type, mapperConfiguration: { conditions: { type: 'EQUAL', fieldName: '', comparisonValue: '' } } };
  }
}

/** What a mapper still lacks; empty if nothing. The server checks the rest. */
export function missingInMapper({ type, mapperConfiguration: settings }: Mapper): string {
  if (type === 'row-filtering') return isWhole(settings.conditions as Condition) ? '' : t('Complete its conditions.');
  if (type === 'field-renaming')
    return settings.originalFieldName && settings.newFieldName ? '' : t('Name the field and its new name.');
  if (!settings.targetField) return t('Choose its field.');
  if (type === 'encryption' && settings.algorithm === 'AES' && !settings.key) return t('Give a reference to its key.');
  if (type === 'encryption' && settings.algorithm === 'RSA' && !settings.publicKey) return t('Give its public key.');
  return '';
}

function isWhole(condition: Condition | undefined): boolean {
  if (!condition) return false;
  if (condition.type === 'EQUAL') return Boolean(condition.fieldName);
  return Boolean(condition.conditions?.length && condition.conditions.every(isWhole));
}

/** A mapper in a few words, for a row of a table. */
export function mapperWords({ type, mapperConfiguration: settings }: Mapper): string {
  const field = String(settings.targetField ?? settings.originalFieldName ?? '');
  switch (type) {
    case 'hashing':
      return t('{field} hashed', { field });
    case 'encryption':
      return t('{field} encrypted', { field });
    case 'field-renaming':
      return t('{field} as {name}', { field, name: String(settings.newFieldName ?? '') });
    case 'field-filtering':
      return t('without {field}', { field });
    case 'row-filtering':
      return t('some records only');
    default:
      return type;
  }
}

/** The names that fields have after these mappers, in their order. */
export function fieldsAfter(fields: string[], mappers: Mapper[]): string[] {
  let names = fields;
  for (const { type, mapperConfiguration: settings } of mappers) {
    const target = String(settings.targetField ?? settings.originalFieldName ?? '');
    if (type === 'field-filtering') names = names.filter((name) => name !== target);
    else if (type === 'field-renaming') names = names.map((name) => (name === target ? String(settings.newFieldName ?? '') : name));
    else if (type !== 'row-filtering') names = names.map((name) => (name === target ? `${name}${String(settings.fieldNameSuffix ?? '')}` : name));
  }
  return names;
}
