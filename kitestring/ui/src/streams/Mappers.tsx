/** The mappers of a stream, in the order in which they change each record. */
import { ActionIcon, Autocomplete, Button, Group, Menu, Paper, Select, Stack, Text, TextInput } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconPlus, IconTrash } from '@tabler/icons-react';

import { t } from '../text';
import { type Condition, fieldsAfter, type Mapper, mapperKinds, missingInMapper, newMapper } from './mappers';
import { RowFilter } from './RowFilter';

const METHODS = ['SHA-256', 'SHA-512', 'SHA-384', 'SHA-224', 'SHA-1', 'MD5'];
const AES_MODES = ['GCM', 'CTR', 'CBC', 'CFB', 'OFB', 'ECB'];

export function Mappers({
  fields,
  mappers,
  editable,
  onChange,
}: {
  /** The names of the stream's own fields. */
  fields: string[];
  mappers: Mapper[];
  editable: boolean;
  onChange: (mappers: Mapper[]) => void;
}) {
  const kinds = mapperKinds();
  const replace = (n: number, mapper: Mapper) => onChange(mappers.map((other, position) => (position === n ? mapper : other)));
  const move = (n: number, to: number) => {
    const next = [...mappers];
    next.splice(to, 0, ...next.splice(n, 1));
    onChange(next);
  };
  if (!editable && mappers.length === 0) return null;
  return (
    <Stack gap="xs">
      <Group justify="space-between" gap="xs">
        <Text size="sm" fw={600}>
          {t('Mappers')}{' '}
          <Text span size="sm" c="dimmed" fw={400}>
            {t('change records between the source and the destination')}
          </Text>
        </Text>
        {editable && (
          <Menu position="bottom-end" width={320}>
            <Menu.Target>
              <Button size="compact-sm" variant="default" leftSection={<IconPlus size={14} aria-hidden />}>
                {t('Add a mapper')}
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              {kinds.map((kind) => (
                <Menu.Item key={kind.value} onClick={() => onChange([...mappers, newMapper(kind.value)])}>
                  {kind.label}
                  <Text size="xs" c="dimmed">
                    {kind.note}
                  </Text>
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
        )}
      </Group>
      {mappers.map((mapper, n) => {
        const label = kinds.find((kind) => kind.value === mapper.type)?.label ?? mapper.type;
        const missing = missingInMapper(mapper);
        return (
          <Paper key={mapper.id ?? n} withBorder p="sm" role="group" aria-label={t('Mapper {number}: {kind}', { number: n + 1, kind: label })}>
            <Stack gap="xs">
              <Group justify="space-between" gap="xs" wrap="nowrap">
                <Text size="sm" fw={600}>
                  {n + 1}. {label}
                </Text>
                {editable && (
                  <Group gap={2} wrap="nowrap">
                    <ActionIcon variant="subtle" color="gray" disabled={n === 0} aria-label={t('Move mapper {number} up', { number: n + 1 })} onClick={() => move(n, n - 1)}>
                      <IconArrowUp size={15} aria-hidden />
                    </ActionIcon>
                    <ActionIcon
                      variant="subtle"
                      color="gray"
                      disabled={n === mappers.length - 1}
                      aria-label={t('Move mapper {number} down', { number: n + 1 })}
                      onClick={() => move(n, n + 1)}
                    >
                      <IconArrowDown size={15} aria-hidden />
                    </ActionIcon>
                    <ActionIcon
                      variant="subtle"
                      color="gray"
                      aria-label={t('Remove mapper {number}', { number: n + 1 })}
                      onClick={() => onChange(mappers.filter((_, position) => position !== n))}
                    >
                      <IconTrash size={15} aria-hidden />
                    </ActionIcon>
                  </Group>
                )}
              </Group>
              <fieldset disabled={!editable} style={{ border: 0, padding: 0, margin: 0, minWidth: 0 }}>
                <Settings mapper={mapper} fields={fieldsAfter(fields, mappers.slice(0, n))} onChange={(next) => replace(n, next)} />
              </fieldset>
              {missing && (
                <Text size="xs" c="var(--mantine-color-error)">
                  {missing}
                </Text>
              )}
            </Stack>
          </Paper>
        );
      })}
    </Stack>
  );
}

function Settings({ mapper, fields, onChange }: { mapper: Mapper; fields: string[]; onChange: (mapper: Mapper) => void }) {
  const settings = mapper.mapperConfiguration;
  const text = (name: string) => String(settings[name] ?? '');
  const set = (values: Record<string, unknown>) => onChange({ ...mapper, mapperConfiguration: { ...settings, ...values } });
  const field = (name: string, label: string) => (
    <Autocomplete size="xs" label={label} data={fields} value={text(name)} limit={60} onChange={(value) => set({ [name]: value })} style={{ flex: '1 1 180px' }} />
  );
  const input = (name: string, label: string, description?: string, placeholder?: string) => (
    <TextInput
      size="xs"
      label={label}
      description={description}
      placeholder={placeholder}
      value={text(name)}
      autoComplete="off"
      onChange={(event) => set({ [name]: event.currentTarget.value })}
      style={{ flex: '1 1 180px' }}
    />
  );
  const choice = (name: string, label: string, data: string[]) => (
    <Select size="xs" label={label} data={data} value={text(name)} allowDeselect={false} onChange={(value) => value && set({ [name]: value })} w={140} />
  );
  switch (mapper.type) {
    case 'hashing':
      return (
        <Group gap="sm" align="flex-end">
          {field('targetField', t('Field'))}
          {choice('method', t('Method'), METHODS)}
          {input('fieldNameSuffix', t('Suffix of the name'))}
        </Group>
      );
    case 'field-renaming':
      return (
        <Group gap="sm" align="flex-end">
          {field('originalFieldName', t('Field'))}
          {input('newFieldName', t('New name'))}
        </Group>
      );
    case 'field-filtering':
      return <Group gap="sm">{field('targetField', t('Field'))}</Group>;
    case 'encryption':
      return (
        <Group gap="sm" align="flex-end">
          {field('targetField', t('Field'))}
          <Select
            size="xs"
            label={t('Algorithm')}
            data={['AES', 'RSA']}
            value={text('algorithm')}
            allowDeselect={false}
            w={110}
            onChange={(algorithm) =>
              algorithm &&
              onChange({
                ...mapper,
                mapperConfiguration: {
                  algorithm,
                  targetField: settings.targetField,
                  fieldNameSuffix: settings.fieldNameSuffix,
                  ...(algorithm === 'AES' ? { key: '', mode: 'GCM', padding: 'NoPadding' } : { publicKey: '' }),
                },
              })
            }
          />
          {text('algorithm') === 'AES' ? (
            <>
              {input('key', t('Key'), t('A reference: the key itself is never stored here.'), '${env:KITESTRING_CONFIG_KEY}')}
              <Select
                size="xs"
                label={t('Mode')}
                data={AES_MODES}
                value={text('mode')}
                allowDeselect={false}
                w={110}
                // CBC and ECB encrypt whole blocks.
                onChange={(mode) => mode && set({ mode, padding: mode === 'CBC' || mode === 'ECB' ? 'PKCS5Padding' : 'NoPadding' })}
              />
            </>
          ) : (
            input('publicKey', t('Public key'), t('X.509 in DER as hex, or PEM. For short values only.'))
          )}
          {input('fieldNameSuffix', t('Suffix of the name'))}
        </Group>
      );
    case 'row-filtering':
      return <RowFilter condition={settings.conditions as Condition} fields={fields} onChange={(conditions) => set({ conditions })} />;
    default:
      return <Text size="sm">{t('This kind of mapper cannot be changed here.')}</Text>;
  }
}
