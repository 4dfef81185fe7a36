/** A component in a field, a list of components, and components by name. */
import { ActionIcon, Badge, Box, Button, Collapse, Group, Input, Menu, Paper, Select, Stack, Text, UnstyledButton } from '@mantine/core';
import { IconArrowDown, IconArrowUp, IconChevronRight, IconPlus, IconTrash } from '@tabler/icons-react';
import { useState } from 'react';

import { t } from '../../text';
import type { Path } from '../document/document';
import { componentTitle, type Language } from '../document/language';
import { isObject } from '../document/layout';
import { ComponentFields } from './ComponentForm';
import { hasDefect, idOf, useField, useForm } from './context';
import { Inherited } from './Inherited';
import { newComponent } from './kinds';
import type { InputProps } from './ScalarField';
import { TableField } from './TableField';
import { YamlField } from './YamlField';

const titleOf = (schema: Language, name: string) => t(componentTitle(name, schema.component(name)));

/** The component of this name that takes the place of another keeps the fields that it knows. */
function changedTo(schema: Language, name: string, value: unknown): Record<string, unknown> {
  const next = newComponent(schema, name);
  const fields = schema.component(name)?.fields ?? {};
  if (isObject(value)) for (const [field, item] of Object.entries(value)) if (Object.hasOwn(fields, field) && JSON.stringify(fields[field]!.type) !== 'null') next[field] = item;
  return next;
}

/** `focused`: its kind is chosen next. */
export function ComponentField({ path, label, name, field, option, focused = false }: InputProps & { focused?: boolean }) {
  const { doc, schema, defects } = useForm();
  const { value, set, remove, error, disabled } = useField(path);
  const { component: current } = schema.place(doc, [...path, '']);
  // Its few fields are what one has to look at: where a key or a parameter stands in the request.
  const [opened, setOpened] = useState(path.length <= 3 || option.names[0] === 'RequestOption');
  const names = current === undefined || option.names.includes(current) || value === undefined ? option.names : [current, ...option.names];
  const isOpen = (opened || hasDefect(defects, path)) && value !== undefined;
  const hasFields = current !== undefined && Object.keys(schema.component(current)?.fields ?? {}).length > 0;
  if (value === undefined && names.length === 1) {
    return (
      <Group gap="xs">
        <Text size="sm" fw={500} component="div">{label}</Text>
        <Button size="compact-xs" variant="default" disabled={disabled} leftSection={<IconPlus size={12} aria-hidden />} aria-label={t('Add {field}', { field: name })} onClick={() => { set(newComponent(schema, names[0]!)); setOpened(true); }}>
          {t('Add')}
        </Button>
      </Group>
    );
  }
  return (
    <Paper withBorder radius="md" p="xs" role="group" aria-label={name}>
      <Group gap="xs" wrap="nowrap" align="center">
        <Toggle opened={isOpen} visible={hasFields && value !== undefined} name={name} onToggle={() => setOpened(!isOpen)}>
          {label}
        </Toggle>
        {names.length > 1 && (
          <Select
            id={idOf(path)}
            autoFocus={focused}
            size="xs"
            flex={1}
            maw={280}
            aria-label={t('Kind of {field}', { field: name })}
            disabled={disabled}
            data={names.map((item) => ({ value: item, label: titleOf(schema, item) }))}
            value={value === undefined ? null : (current ?? null)}
            placeholder={t('None')}
            allowDeselect={false}
            clearable={!field?.required && value !== undefined}
            clearButtonProps={{ 'aria-label': t('Clear {field}', { field: name }) }}
            onChange={(next) => {
              if (next === null) return remove();
              set(changedTo(schema, next, value));
              setOpened(true);
            }}
          />
        )}
        {names.length <= 1 && !field?.required && (
          <ActionIcon ml="auto" variant="subtle" color="gray" size="sm" disabled={disabled} aria-label={t('Remove {field}', { field: name })} onClick={remove}>
            <IconTrash size={14} aria-hidden />
          </ActionIcon>
        )}
      </Group>
      {error && <Input.Error mt={4}>{error}</Input.Error>}
      {value !== undefined && hasFields && (
        <Collapse expanded={isOpen}>
          <Box pt="xs">{isOpen && <Inherited path={path}><ComponentFields path={path} /></Inherited>}</Box>
        </Collapse>
      )}
      {value !== undefined && current === undefined && <Box pt="xs"><YamlField path={path} label={undefined} name={name} /></Box>}
    </Paper>
  );
}

function Toggle({ opened, visible, name, onToggle, children }: { opened: boolean; visible: boolean; name: string; onToggle: () => void; children: React.ReactNode }) {
  if (!visible) return <Text size="sm" fw={500} component="div">{children}</Text>;
  return (
    <Group gap={4} wrap="nowrap">
      <UnstyledButton aria-expanded={opened} aria-label={opened ? t('Close {field}', { field: name }) : t('Open {field}', { field: name })} onClick={onToggle} display="inline-flex">
        <IconChevronRight size={16} aria-hidden style={{ transform: opened ? 'rotate(90deg)' : undefined }} />
      </UnstyledButton>
      <Text size="sm" fw={500} component="div">{children}</Text>
    </Group>
  );
}

/** A list of components; each opens on a click. */
export function ComponentsField({ path, label, name, option }: InputProps) {
  const { doc, edit, schema, where } = useForm();
  const { value, error, disabled } = useField(path);
  const count = Array.isArray(value) ? value.length : 0;
  const [opened, setOpened] = useState<number>();
  const add = (component: string) => {
    edit(doc.insert(path, count, newComponent(schema, component), { where }));
    setOpened(count);
  };
  return (
    <Input.Wrapper label={label} error={error} role="group" aria-label={name}>
      <Stack gap={6} mt={4}>
        {Array.from({ length: count }, (_, index) => (
          <Item
            key={index}
            path={[...path, index]}
            names={option.names}
            opened={opened === index}
            onToggle={() => setOpened(opened === index ? undefined : index)}
            move={(to) => {
              if (to < 0 || to >= count) return;
              edit(doc.move(path, index, to, { where }));
              if (opened === index) setOpened(to);
              else if (opened === to) setOpened(index);
            }}
            removed={() => opened !== undefined && index <= opened && setOpened(index === opened ? undefined : opened - 1)}
          />
        ))}
        <Group>
          {option.names.length === 1 ? (
            <AddButton name={name} disabled={disabled} onClick={() => add(option.names[0]!)} />
          ) : (
            <Menu position="bottom-start">
              <Menu.Target>
                <AddButton name={name} disabled={disabled} />
              </Menu.Target>
              <Menu.Dropdown mah={320} style={{ overflowY: 'auto' }}>
                {option.names.filter((item) => !schema.component(item)?.python).map((item) => (
                  <Menu.Item key={item} onClick={() => add(item)}>
                    {titleOf(schema, item)}
                  </Menu.Item>
                ))}
              </Menu.Dropdown>
            </Menu>
          )}
        </Group>
      </Stack>
    </Input.Wrapper>
  );
}

function AddButton({ name, ...button }: { name: string; disabled: boolean; onClick?: () => void; ref?: React.Ref<HTMLButtonElement> }) {
  return (
    <Button size="xs" variant="default" leftSection={<IconPlus size={14} aria-hidden />} aria-label={t('Add to {field}', { field: name })} {...button}>
      {t('Add')}
    </Button>
  );
}

interface ItemProps {
  path: Path;
  names: readonly string[];
  opened: boolean;
  onToggle: () => void;
  move: (to: number) => void;
  /** Called after the item has been removed. */
  removed: () => void;
}

function Item({ path, names, opened, onToggle, move, removed }: ItemProps) {
  const { doc, schema, defects } = useForm();
  const { remove, disabled, value, error } = useField(path);
  const index = Number(path.at(-1));
  const { component } = schema.place(doc, [...path, '']);
  const title = component === undefined ? t('Item {number}', { number: index + 1 }) : titleOf(schema, component);
  const isOpen = opened || hasDefect(defects, path);
  return (
    <Paper withBorder radius="md" p="xs" role="group" aria-label={`${title} ${index + 1}`}>
      <Group gap={4} wrap="nowrap">
        <UnstyledButton flex={1} miw={0} aria-expanded={isOpen} onClick={onToggle}>
          <Group gap={6} wrap="nowrap">
            <IconChevronRight size={16} aria-hidden style={{ transform: isOpen ? 'rotate(90deg)' : undefined, flexShrink: 0 }} />
            <Text size="sm" fw={500} style={{ whiteSpace: 'nowrap' }}>{title}</Text>
            <Text size="sm" c="dimmed" truncate>{gist(value)}</Text>
            {component !== undefined && schema.component(component)?.own && <Badge size="xs" variant="light" tt="none">Kitestring</Badge>}
          </Group>
        </UnstyledButton>
        <ActionIcon variant="subtle" color="gray" size="sm" disabled={disabled || index === 0} aria-label={t('Move {field} up', { field: title })} onClick={() => move(index - 1)}>
          <IconArrowUp size={14} aria-hidden />
        </ActionIcon>
        <ActionIcon variant="subtle" color="gray" size="sm" disabled={disabled} aria-label={t('Move {field} down', { field: title })} onClick={() => move(index + 1)}>
          <IconArrowDown size={14} aria-hidden />
        </ActionIcon>
        <ActionIcon variant="subtle" color="gray" size="sm" disabled={disabled} aria-label={t('Remove {field}', { field: title })} onClick={() => { remove(); removed(); }}>
          <IconTrash size={14} aria-hidden />
        </ActionIcon>
      </Group>
      {error && <Input.Error mt={4}>{error}</Input.Error>}
      <Collapse expanded={isOpen}>
        <Box pt="xs">{isOpen && (component !== undefined && names.length > 0 ? <Inherited path={path}><ComponentFields path={path} /></Inherited> : <YamlField path={path} label={undefined} name={title} />)}</Box>
      </Collapse>
    </Paper>
  );
}

/** What tells an item from its neighbours: its first texts. */
function gist(value: unknown): string {
  if (!isObject(value)) return typeof value === 'string' ? value : '';
  const parts: string[] = [];
  for (const [name, item] of Object.entries(value)) {
    if (name === 'type' || name.startsWith('$')) continue;
    if (typeof item === 'string' || typeof item === 'number') parts.push(String(item));
    else if (Array.isArray(item) && item.every((part) => typeof part !== 'object')) parts.push(item.join(', '));
  }
  return parts.slice(0, 3).join(' · ');
}

/** Components by name, such as the authenticators of a choice. */
export function ComponentTable(props: InputProps) {
  const { value } = useField(props.path);
  const names = isObject(value) ? Object.keys(value).filter((key) => key !== '$ref' && key !== '<<') : [];
  const field = { type: { any: props.option.names }, summary: '' };
  // The first one was named in the table: its kind comes next.
  const [wasEmpty] = useState(names.length === 0);
  if (names.length === 0) return <TableField {...props} />;
  return (
    <Input.Wrapper label={props.label} role="group" aria-label={props.name}>
      <Stack gap={6} mt={4}>
        {names.map((key) => (
          <ComponentField key={key} focused={wasEmpty} path={[...props.path, key]} label={key} name={key} field={field} option={{ ...props.option, kind: 'component' }} />
        ))}
      </Stack>
    </Input.Wrapper>
  );
}
