/**
 * The form of a connector's configuration, drawn from its spec.
 *
 * It is our own because validators of JSON Schema compile code in the browser, which the pages' Content-Security-Policy
 * forbids; and because specs say more than a schema does: secrets, order, groups, what is to be hidden.
 */
import {
  ActionIcon,
  Box,
  Button,
  Checkbox,
  Collapse,
  Fieldset,
  Group,
  JsonInput,
  NumberInput,
  PasswordInput,
  Select,
  Stack,
  TagsInput,
  Text,
  Textarea,
  TextInput,
  UnstyledButton,
} from '@mantine/core';
import { IconChevronRight, IconPlus, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';

import { RichText } from './RichText';
import {
  choices,
  fieldsOf,
  initial,
  isAside,
  kindOf,
  label,
  MASK,
  type Schema,
  type Values,
  wayOf,
} from './schema';

interface Place {
  name: string;
  path: string;
  schema: Schema;
  value: unknown;
  needed: boolean;
  errors: Record<string, string>;
  onChange: (value: unknown) => void;
}

/** `schema` comes from `plain`; `errors` from `wrong`, by path. */
export function SpecForm({
  schema,
  value,
  errors,
  onChange,
}: {
  schema: Schema;
  value: Values;
  errors: Record<string, string>;
  onChange: (value: Values) => void;
}) {
  return <Fields schema={schema} path="" value={value} errors={errors} onChange={onChange} />;
}

/** The fields of an object: the needed ones, and the others behind a button that names them. */
function Fields({
  schema,
  path,
  value,
  errors,
  onChange,
}: {
  schema: Schema;
  path: string;
  value: Values;
  errors: Record<string, string>;
  onChange: (value: Values) => void;
}) {
  const all = fieldsOf(schema);
  const aside = all.filter(([name, one]) => isAside(schema, name, one));
  const [opened, setOpened] = useState(() => aside.some(([name]) => value[name] !== undefined));
  const inside = (name: string) => (path ? `${path}.${name}` : name);
  const troubled = aside.some(([name]) => Object.keys(errors).some((at) => `${at}.`.startsWith(`${inside(name)}.`)));
  const shown = opened || troubled;

  const draw = ([name, one]: [string, Schema]) => (
    <Field
      key={name}
      name={name}
      path={inside(name)}
      schema={one}
      value={value[name]}
      needed={schema.required?.includes(name) ?? false}
      errors={errors}
      onChange={(next) => onChange({ ...value, [name]: next })}
    />
  );

  return (
    <Stack gap="md">
      {all.filter((one) => !aside.includes(one)).map(draw)}
      {aside.length > 0 && (
        <Box>
          <UnstyledButton onClick={() => setOpened(!shown)} aria-expanded={shown} py={4}>
            <Group gap={6} wrap="nowrap" align="flex-start">
              <IconChevronRight
                size={16}
                aria-hidden
                style={{ transform: shown ? 'rotate(90deg)' : undefined, marginTop: 3, flexShrink: 0 }}
              />
              <Text size="sm" fw={600}>
                Optional settings
                {!shown && (
                  <Text span size="sm" c="dimmed" fw={400}>
                    {' · '}
                    {aside.map(([name, one]) => label(name, one)).join(', ')}
                  </Text>
                )}
              </Text>
            </Group>
          </UnstyledButton>
          <Collapse expanded={shown}>
            <Stack gap="md" pt="sm">
              {shown && aside.map(draw)}
            </Stack>
          </Collapse>
        </Box>
      )}
    </Stack>
  );
}

function Field(place: Place) {
  const { schema, value, path, name, needed, errors, onChange } = place;
  const example = schema.examples?.[0];
  const shared = {
    id: `field-${path}`,
    label: label(name, schema),
    description: schema.description ? <RichText text={schema.description} /> : undefined,
    inputWrapperOrder: ['label', 'description', 'input', 'error'] as ('label' | 'description' | 'input' | 'error')[],
    error: errors[path],
    withAsterisk: needed,
    required: needed,
  };
  const hint =
    schema.default !== undefined && schema.default !== '' && typeof schema.default !== 'object'
      ? `Default: ${String(schema.default)}`
      : example !== undefined && typeof example !== 'object'
        ? `For example ${String(example)}`
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
      const given = choices(schema);
      const key = (one: unknown) => JSON.stringify(one);
      const known = value ?? schema.default;
      return (
        <Select
          {...shared}
          styles={{ wrapper: { maxWidth: 420 } }}
          data={given.map((one) => ({ value: key(one.value), label: one.label }))}
          value={known === undefined ? null : key(known)}
          clearable={!needed && value !== undefined}
          clearButtonProps={{ 'aria-label': `Clear ${shared.label}` }}
          allowDeselect={false}
          searchable={given.length > 8}
          onChange={(next) => onChange(next === null ? undefined : JSON.parse(next))}
        />
      );
    }
    case 'texts':
      return (
        <TagsInput
          {...shared}
          data={schema.items?.enum?.map(String)}
          value={Array.isArray(value) ? value.map(String) : []}
          placeholder={Array.isArray(value) && value.length ? undefined : (hint ?? 'Enter one, then press Enter')}
          splitChars={[',', '\n']}
          acceptValueOnBlur
          onChange={onChange}
        />
      );
    case 'text':
      if (schema.airbyte_secret) return <Secret place={place} shared={shared} hint={hint} />;
      return schema.multiline ? (
        <Textarea
          {...shared}
          autosize
          minRows={3}
          maxRows={12}
          placeholder={hint}
          value={String(value ?? '')}
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      ) : (
        <TextInput
          {...shared}
          placeholder={hint}
          value={String(value ?? '')}
          autoComplete="off"
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      );
    case 'group':
      return (
        <Part place={place}>
          <Fields
            schema={schema}
            path={path}
            value={(value ?? {}) as Values}
            errors={errors}
            onChange={onChange}
          />
        </Part>
      );
    case 'choice':
      return <Choice {...place} />;
    case 'items':
      return <Items {...place} />;
    case 'json':
      return <Json place={place} shared={shared} />;
  }
}

function Part({ place, children }: { place: Place; children: React.ReactNode }) {
  const { schema, name, needed } = place;
  return (
    <Fieldset
      p={{ base: 'sm', sm: 'lg' }}
      legend={
        <Text span fw={600}>
          {label(name, schema)}
          {!needed && (
            <Text span size="sm" c="dimmed" fw={400}>
              {' '}
              (optional)
            </Text>
          )}
        </Text>
      }
    >
      {schema.description && (
        <Text size="sm" c="dimmed" mb="sm">
          <RichText text={schema.description} />
        </Text>
      )}
      {children}
    </Fieldset>
  );
}

/** A secret that the server keeps is never shown: it stays as it is unless another is entered. */
function Secret({ place, shared, hint }: { place: Place; shared: object; hint?: string }) {
  const { value, schema, onChange } = place;
  const [kept] = useState(value === MASK);
  const isKept = value === MASK;
  const told = { ...shared, placeholder: kept ? 'Kept as it is. Enter another to replace it.' : hint };
  const entered = isKept ? '' : String(value ?? '');
  const change = (next: string) => onChange(next === '' && kept ? MASK : next);
  return schema.multiline ? (
    <Textarea {...told} autosize minRows={3} maxRows={12} value={entered} onChange={(e) => change(e.currentTarget.value)} />
  ) : (
    <PasswordInput
      {...told}
      value={entered}
      autoComplete="new-password"
      visibilityToggleButtonProps={{ 'aria-label': `Show ${label(place.name, schema)}`, tabIndex: 0 }}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}

/** One of several ways, each with fields of its own. What was entered under another way comes back with it. */
function Choice(place: Place) {
  const { schema, value, path, name, needed, errors, onChange } = place;
  const ways = schema.oneOf ?? [];
  const [before, setBefore] = useState<Record<number, unknown>>({});
  const at = wayOf(schema, value);
  const way = ways[at];
  return (
    <Part place={place}>
      <Stack gap="md">
        <Select
          id={`field-${path}`}
          aria-label={label(name, schema)}
          data={ways.map((one, n) => ({ value: String(n), label: one.title ?? `Way ${n + 1}` }))}
          value={at < 0 ? null : String(at)}
          placeholder="Choose one"
          maw={420}
          error={errors[path]}
          allowDeselect={false}
          clearable={!needed}
          clearButtonProps={{ 'aria-label': `Clear ${label(name, schema)}` }}
          onChange={(next) => {
            setBefore({ ...before, [at]: value });
            if (next === null) return onChange(undefined);
            const chosen = ways[Number(next)]!;
            onChange(before[Number(next)] ?? initial({ ...chosen, properties: chosen.properties ?? {}, oneOf: undefined }) ?? {});
          }}
        />
        {way?.description && (
          <Text size="sm" c="dimmed">
            <RichText text={way.description} />
          </Text>
        )}
        {way && fieldsOf(way).length > 0 && (
          <Fields key={at} schema={way} path={path} value={(value ?? {}) as Values} errors={errors} onChange={onChange} />
        )}
      </Stack>
    </Part>
  );
}

function Items(place: Place) {
  const { schema, value, path, name, errors, onChange } = place;
  const given = Array.isArray(value) ? value : [];
  const replace = (n: number, next: unknown) => onChange(given.map((one, at) => (at === n ? next : one)));
  return (
    <Part place={place}>
      <Stack gap="sm">
        {given.map((one, n) => (
          <Group key={n} align="flex-start" wrap="nowrap">
            <Box flex={1}>
              <Field
                {...place}
                name={`${label(name, schema)} ${n + 1}`}
                path={`${path}.${n}`}
                schema={{ ...schema.items!, title: `${n + 1}` }}
                value={one}
                needed
                errors={errors}
                onChange={(next) => replace(n, next)}
              />
            </Box>
            <ActionIcon
              variant="subtle"
              color="gray"
              mt="lg"
              aria-label={`Remove ${label(name, schema)} ${n + 1}`}
              onClick={() => onChange(given.filter((_, at) => at !== n))}
            >
              <IconTrash size={16} aria-hidden />
            </ActionIcon>
          </Group>
        ))}
        <Group>
          <Button
            size="xs"
            variant="default"
            leftSection={<IconPlus size={14} aria-hidden />}
            onClick={() => onChange([...given, initial(schema.items!) ?? {}])}
          >
            Add
          </Button>
        </Group>
      </Stack>
    </Part>
  );
}

/** What has no fields of its own is written as JSON; a text that is none is kept, and told. */
function Json({ place, shared }: { place: Place; shared: object }) {
  const { value, schema, onChange } = place;
  const [text, setText] = useState(() =>
    value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value, null, 2),
  );
  return (
    <JsonInput
      {...shared}
      autosize
      minRows={3}
      maxRows={16}
      placeholder={schema.type === 'array' ? '[]' : schema.type === undefined ? 'A text, or JSON' : '{}'}
      value={text}
      onChange={(next) => {
        setText(next);
        if (next.trim() === '') return onChange(undefined);
        try {
          onChange(JSON.parse(next));
        } catch {
          onChange(next);
        }
      }}
    />
  );
}
