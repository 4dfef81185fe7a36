/**
 * The form of a connector's configuration, rendered from its spec.
 *
 * Written for Kitestring because JSON Schema validators compile code in the browser, which the pages'
 * Content-Security-Policy forbids, and because specs hold more than a schema: secrets, order, groups, hidden fields.
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
  initialValue,
  isOptionalSetting,
  kindOf,
  label,
  MASK,
  type Schema,
  type Values,
  variantIndex,
} from './schema';

interface FieldProps {
  name: string;
  path: string;
  schema: Schema;
  value: unknown;
  needed: boolean;
  errors: Record<string, string>;
  onChange: (value: unknown) => void;
}

/** `schema` comes from `resolveSchema`; `errors` from `validate`, by path. */
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

/** The fields of an object: required fields first, optional fields behind a button that names them. */
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
      errors={errors}
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
                Optional settings
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

function Field(field: FieldProps) {
  const { schema, value, path, name, needed, errors, onChange } = field;
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
          clearButtonProps={{ 'aria-label': `Clear ${shared.label}` }}
          allowDeselect={false}
          searchable={options.length > 8}
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
          placeholder={Array.isArray(value) && value.length ? undefined : (hint ?? 'Enter a value, then press Enter')}
          splitChars={[',', '\n']}
          acceptValueOnBlur
          onChange={onChange}
        />
      );
    case 'text':
      if (schema.airbyte_secret) return <Secret field={field} shared={shared} hint={hint} />;
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
        <Part field={field}>
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
      return <Choice {...field} />;
    case 'items':
      return <Items {...field} />;
    case 'json':
      return <Json field={field} shared={shared} />;
  }
}

function Part({ field, children }: { field: FieldProps; children: React.ReactNode }) {
  const { schema, name, needed } = field;
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

/** A stored secret is never shown: it does not change unless a new value is entered. */
function Secret({ field, shared, hint }: { field: FieldProps; shared: object; hint?: string }) {
  const { value, schema, onChange } = field;
  const [stored] = useState(value === MASK);
  const unchanged = value === MASK;
  const inputProps = { ...shared, placeholder: stored ? 'Unchanged. Enter a new value to replace it.' : hint };
  const text = unchanged ? '' : String(value ?? '');
  const change = (next: string) => onChange(next === '' && stored ? MASK : next);
  return schema.multiline ? (
    <Textarea {...inputProps} autosize minRows={3} maxRows={12} value={text} onChange={(e) => change(e.currentTarget.value)} />
  ) : (
    <PasswordInput
      {...inputProps}
      value={text}
      autoComplete="new-password"
      visibilityToggleButtonProps={{ 'aria-label': `Show ${label(field.name, schema)}`, tabIndex: 0 }}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}

/** A choice between variants, each with its own fields. Values of a variant return when it is selected again. */
function Choice(field: FieldProps) {
  const { schema, value, path, name, needed, errors, onChange } = field;
  const variants = schema.oneOf ?? [];
  const [previousValues, setPreviousValues] = useState<Record<number, unknown>>({});
  const index = variantIndex(schema, value);
  const variant = variants[index];
  return (
    <Part field={field}>
      <Stack gap="md">
        <Select
          id={`field-${path}`}
          aria-label={label(name, schema)}
          data={variants.map((option, n) => ({ value: String(n), label: option.title ?? `Option ${n + 1}` }))}
          value={index < 0 ? null : String(index)}
          placeholder="Choose an option"
          maw={420}
          error={errors[path]}
          allowDeselect={false}
          clearable={!needed}
          clearButtonProps={{ 'aria-label': `Clear ${label(name, schema)}` }}
          onChange={(next) => {
            setPreviousValues({ ...previousValues, [index]: value });
            if (next === null) return onChange(undefined);
            const chosen = variants[Number(next)]!;
            onChange(previousValues[Number(next)] ?? initialValue({ ...chosen, properties: chosen.properties ?? {}, oneOf: undefined }) ?? {});
          }}
        />
        {variant?.description && (
          <Text size="sm" c="dimmed">
            <RichText text={variant.description} />
          </Text>
        )}
        {variant && fieldsOf(variant).length > 0 && (
          <Fields key={index} schema={variant} path={path} value={(value ?? {}) as Values} errors={errors} onChange={onChange} />
        )}
      </Stack>
    </Part>
  );
}

function Items(field: FieldProps) {
  const { schema, value, path, name, errors, onChange } = field;
  const items = Array.isArray(value) ? value : [];
  const replace = (n: number, next: unknown) => onChange(items.map((item, index) => (index === n ? next : item)));
  return (
    <Part field={field}>
      <Stack gap="sm">
        {items.map((item, n) => (
          <Group key={n} align="flex-start" wrap="nowrap">
            <Box flex={1}>
              <Field
                {...field}
                name={`${label(name, schema)} ${n + 1}`}
                path={`${path}.${n}`}
                schema={{ ...schema.items!, title: `${n + 1}` }}
                value={item}
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
              onClick={() => onChange(items.filter((_, index) => index !== n))}
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
            onClick={() => onChange([...items, initialValue(schema.items!) ?? {}])}
          >
            Add
          </Button>
        </Group>
      </Stack>
    </Part>
  );
}

/** A value without fields is edited as JSON; invalid JSON is kept as text and reported. */
function Json({ field, shared }: { field: FieldProps; shared: object }) {
  const { value, schema, onChange } = field;
  const [text, setText] = useState(() =>
    value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value, null, 2),
  );
  return (
    <JsonInput
      {...shared}
      autosize
      minRows={3}
      maxRows={16}
      placeholder={schema.type === 'array' ? '[]' : schema.type === undefined ? 'Text or JSON' : '{}'}
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
