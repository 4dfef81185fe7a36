/**
 * The form of a connector's configuration, rendered from its spec.
 *
 * Written for Kitestring because JSON Schema validators compile code in the browser, which the pages'
 * Content-Security-Policy forbids, and because specs hold more than a schema: secrets, order, groups, hidden fields.
 */
import { Box, Checkbox, Collapse, Group, NumberInput, Select, Stack, Text, Textarea, UnstyledButton } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { useContext, useMemo, useState } from 'react';

import { t } from '../text';
import { Choice } from './Choice';
import { DateField } from './DateField';
import { dateForm } from './dates';
import { type Advice, type FieldProps, FormNotesContext, type SharedProps, useFormNotes } from './field';
import { Items } from './Items';
import { Json } from './Json';
import { Part } from './Part';
import { RichText } from './RichText';
import { choices, fieldsOf, isOptionalSetting, kindOf, label, type Schema, type Values } from './schema';
import { Secret } from './Secret';
import { SuggestionsContext } from './suggestions';
import { Tags } from './Tags';
import { Meant, TextField } from './TextField';

/** `schema` comes from `resolveSchema`; `errors` from `validate` and the server, `advice` from the server, by path. */
export function SpecForm({
  schema,
  value,
  errors,
  advice = {},
  onChange,
}: {
  schema: Schema;
  value: Values;
  errors: Record<string, string>;
  advice?: Record<string, Advice>;
  onChange: (value: Values) => void;
}) {
  const notes = useMemo(() => ({ errors, advice }), [errors, advice]);
  return (
    <FormNotesContext value={notes}>
      <Fields schema={schema} path="" value={value} onChange={onChange} />
    </FormNotesContext>
  );
}

/** The fields of an object: required fields first, optional fields behind a button that names them. */
export function Fields({
  schema,
  path,
  value,
  onChange,
}: {
  schema: Schema;
  path: string;
  value: Values;
  onChange: (value: Values) => void;
}) {
  const { errors } = useFormNotes();
  const all = fieldsOf(schema);
  const optionalFields = all.filter(([name, property]) => isOptionalSetting(schema, name, property));
  const [opened, setOpened] = useState(() => optionalFields.some(([name]) => value[name] !== undefined));
  const pathOf = (name: string) => (path ? `${path}.${name}` : name);
  const hasErrors = optionalFields.some(([name]) => Object.keys(errors).some((errorPath) => `${errorPath}.`.startsWith(`${pathOf(name)}.`)));
  const expanded = opened || hasErrors;

  const draw = ([name, property]: [string, Schema]) => (
    <Field
      key={name}
      name={name}
      path={pathOf(name)}
      schema={property}
      value={value[name]}
      needed={schema.required?.includes(name) ?? false}
      onChange={(next) => onChange({ ...value, [name]: next })}
    />
  );

  return (
    <Stack gap="md">
      {all.filter((entry) => !optionalFields.includes(entry)).map(draw)}
      {optionalFields.length > 0 && (
        <Box>
          <UnstyledButton onClick={() => setOpened(!expanded)} aria-expanded={expanded} py={4}>
            <Group gap={6} wrap="nowrap" align="flex-start">
              <IconChevronRight
                size={16}
                aria-hidden
                style={{ transform: expanded ? 'rotate(90deg)' : undefined, marginTop: 3, flexShrink: 0 }}
              />
              <Text size="sm" fw={600}>
                {t('Optional settings')}
                {!expanded && (
                  <Text span size="sm" c="dimmed" fw={400}>
                    {' · '}
                    {optionalFields.map(([name, property]) => label(name, property)).join(', ')}
                  </Text>
                )}
              </Text>
            </Group>
          </UnstyledButton>
          <Collapse expanded={expanded}>
            <Stack gap="md" pt="sm">
              {expanded && optionalFields.map(draw)}
            </Stack>
          </Collapse>
        </Box>
      )}
    </Stack>
  );
}

export function Field(field: FieldProps) {
  const { advice } = useFormNotes();
  const note = advice[field.path];
  if (!note) return <Input {...field} />;
  return (
    <div>
      <Input {...field} />
      {note.value === undefined ? (
        <Text size="sm" mt={4} role="status">
          {note.message}
        </Text>
      ) : (
        <Meant message={note.message} value={String(note.value)} onUse={() => field.onChange(note.value)} />
      )}
    </div>
  );
}

function Input(field: FieldProps) {
  const { schema, value, path, name, needed, onChange } = field;
  const { errors } = useFormNotes();
  const example = schema.examples?.[0];
  const suggestion = useContext(SuggestionsContext)[path];
  const shared: SharedProps = {
    id: `field-${path}`,
    label: label(name, schema),
    description: schema.description ? <RichText text={schema.description} /> : undefined,
    inputWrapperOrder: ['label', 'description', 'input', 'error'],
    error: errors[path],
    withAsterisk: needed,
    required: needed,
  };
  const hint =
    schema.default !== undefined && schema.default !== '' && typeof schema.default !== 'object'
      ? t('Default: {value}', { value: String(schema.default) })
      : example !== undefined && typeof example !== 'object'
        ? t('For example {value}', { value: String(example) })
        : undefined;

  switch (kindOf(schema)) {
    case 'boolean':
      return (
        <Checkbox
          id={shared.id}
          label={shared.label}
          description={shared.description}
          error={shared.error}
          checked={Boolean(value ?? schema.default ?? false)}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
      );
    case 'number':
      return (
        <NumberInput
          {...shared}
          placeholder={hint}
          value={typeof value === 'number' || typeof value === 'string' ? value : ''}
          allowDecimal={schema.type !== 'integer'}
          styles={{ wrapper: { maxWidth: 280 } }}
          onChange={(next) => onChange(next === '' ? undefined : next)}
        />
      );
    case 'enum': {
      const options = choices(schema);
      const key = (constant: unknown) => JSON.stringify(constant);
      const selected = value ?? schema.default;
      return (
        <Select
          {...shared}
          styles={{ wrapper: { maxWidth: 420 } }}
          data={options.map((option) => ({ value: key(option.value), label: option.label }))}
          value={selected === undefined ? null : key(selected)}
          clearable={!needed && value !== undefined}
          clearButtonProps={{ 'aria-label': t('Clear {field}', { field: shared.label }) }}
          allowDeselect={false}
          searchable={options.length > 8}
          onChange={(next) => onChange(next === null ? undefined : JSON.parse(next))}
        />
      );
    }
    case 'texts':
      return (
        <Tags
          {...shared}
          data={schema.items?.enum?.map(String) ?? suggestion?.data}
          limit={60}
          value={Array.isArray(value) ? value.map(String) : []}
          placeholder={Array.isArray(value) && value.length ? undefined : (hint ?? t('Enter a value, then press Enter'))}
          splitChars={[',', '\n']}
          acceptValueOnBlur
          onChange={onChange}
        />
      );
    case 'text':
      if (schema.airbyte_secret) return <Secret field={field} shared={shared} hint={hint} />;
      if (schema.multiline)
        return (
          <Textarea
            {...shared}
            autosize
            minRows={3}
            maxRows={12}
            placeholder={hint}
            value={String(value ?? '')}
            onChange={(event) => onChange(event.currentTarget.value)}
          />
        );
      {
        const form = dateForm(schema);
        if (form !== undefined) return <DateField field={field} shared={shared} form={form} />;
      }
      return <TextField field={field} shared={shared} hint={hint} />;
    case 'group':
      return (
        <Part field={field}>
          <Fields
            schema={schema}
            path={path}
            value={(value ?? {}) as Values}
            onChange={onChange}
          />
        </Part>
      );
    case 'choice':
      return <Choice {...field} />;
    case 'items':
      return <Items {...field} />;
    case 'json':
      return <Json field={field} shared={shared} />;
  }
}
