/** A field of a component: its label and help, and the input for what it is. */
import { Box, Group, Menu, Text, UnstyledButton } from '@mantine/core';
import { IconArrowBackUp, IconChevronDown, IconHelpCircle } from '@tabler/icons-react';

import { useState } from 'react';

import { RichText } from '../../form/RichText';
import { Hint } from '../../shell/Hint';
import { t } from '../../text';
import type { Path } from '../document/document';
import { fieldTitle, type LanguageField } from '../document/language';
import { ComponentField, ComponentsField, ComponentTable } from './ComponentField';
import { useField, useForm } from './context';
import { initialValue, type Option, optionFor, optionsOf } from './kinds';
import { PathsField, TextsField } from './ListFields';
import { type InputProps, ScalarField } from './ScalarField';
import { isStreamName, StreamName } from './StreamName';
import { TableField } from './TableField';
import { YamlField } from './YamlField';

const YAML: Option = { kind: 'yaml', names: [], values: [] };

export function FieldForm({ path, name, field }: { path: Path; name: string; field: LanguageField | undefined }) {
  const { schema, doc } = useForm();
  const { value } = useField(path);
  const options = field ? optionsOf(schema, field.type) : [YAML];
  const isReference = typeof value === 'string' && value.startsWith('#/');
  const option = isReference ? YAML : (optionFor(options, value) ?? YAML);
  const title = t(fieldTitle(name, field));
  const label = (
    <Label title={title} field={field}>
      {options.length > 1 && <KindMenu path={path} name={title} options={options} option={option} />}
      <InheritedMark path={path} />
    </Label>
  );
  const props: InputProps = { path, label, name: title, field, option };
  if (doc.origin(path)?.steps.some((step) => step.via === 'parameter') && option.kind === 'yaml') return <ScalarField {...props} option={{ ...YAML, kind: 'text' }} />;
  switch (option.kind) {
    case 'component':
      return <ComponentField {...props} />;
    case 'components':
      return <ComponentsField {...props} />;
    case 'componentTable':
      return <ComponentTable {...props} />;
    case 'table':
      return <TableField {...props} />;
    case 'texts':
    case 'numbers':
    case 'key':
      return <TextsField {...props} />;
    case 'paths':
      return <PathsField {...props} />;
    case 'yaml':
      return <YamlField {...props} />;
    default:
      return isStreamName(path) ? <StreamName {...props} /> : <ScalarField {...props} />;
  }
}

export function Label({ title, field, children }: { title: string; field: LanguageField | undefined; children?: React.ReactNode }) {
  return (
    <Group component="span" gap={6} wrap="nowrap" display="inline-flex">
      <span>
        {title}
        {field?.required && <Text span c="var(--mantine-color-error)" aria-hidden>{' *'}</Text>}
      </span>
      {field?.summary && (
        <Hint label={<Text span size="xs" display="block" maw={320} style={{ whiteSpace: 'normal' }}><RichText text={t(field.summary)} /></Text>}>
          <UnstyledButton component="span" tabIndex={0} role="img" aria-label={t(field.summary).replaceAll('`', '')} display="inline-flex" c="dimmed">
            <IconHelpCircle size={14} aria-hidden />
          </UnstyledButton>
        </Hint>
      )}
      {children}
    </Group>
  );
}

/** What kind of value a field has, where it may have several. */
function KindMenu({ path, name, options, option }: { path: Path; name: string; options: readonly Option[]; option: Option }) {
  const { schema } = useForm();
  const { set, disabled } = useField(path);
  // A menu for each field would cost more than the fields.
  const [used, setUsed] = useState(false);
  const words: Partial<Record<Option['kind'], string>> = {
    text: t('Text'), template: t('Text'), number: t('Number'), integer: t('Number'), boolean: t('Yes or no'), enum: t('One of a list'), texts: t('List'), numbers: t('List'), paths: t('List of paths'), table: t('Pairs of name and value'), component: t('Group of fields'), components: t('List of groups'), componentTable: t('Groups with names'), yaml: t('YAML'), key: t('Field names'),
  }; // prettier-ignore
  const button = (
    <UnstyledButton fz="xs" mih={24} c="dimmed" display="inline-flex" style={{ alignItems: 'center', gap: 2 }} disabled={disabled} title={t('How this value is written. Choose another way here.')} aria-haspopup="menu" aria-label={t('Kind of {field}: {kind}', { field: name, kind: words[option.kind] ?? '' })} onClick={used ? undefined : () => setUsed(true)}>
      {words[option.kind]}
      <IconChevronDown size={12} aria-hidden />
    </UnstyledButton>
  );
  if (!used) return button;
  return (
    <Menu position="bottom-start" defaultOpened>
      <Menu.Target>{button}</Menu.Target>
      <Menu.Dropdown>
        {options.map((choice) => (
          <Menu.Item key={choice.kind} disabled={choice.kind === option.kind} onClick={() => set(initialValue(schema, choice) ?? '')}>
            {words[choice.kind]}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

/** That a value comes from elsewhere, and the way back to it where it is overridden. */
function InheritedMark({ path }: { path: Path }) {
  const { doc, where } = useForm();
  const origin = doc.origin(path);
  const via = origin?.steps.at(-1)?.via;
  if (!origin || via === undefined || where === 'shared') return null;
  const place = origin.path.slice(0, -1).join('.');
  return (
    <Hint label={via === 'parameter' ? t('From the parameters of {place}', { place }) : t('From {place}', { place })}>
      <Box component="span" tabIndex={0} role="img" aria-label={t('From {place}', { place })} display="inline-flex" c="dimmed">
        <IconArrowBackUp size={14} aria-hidden />
      </Box>
    </Hint>
  );
}
