/** The form of any component of the language: the common fields in front, the others behind “More”. */
import { Box, Collapse, Group, Stack, Text, UnstyledButton } from '@mantine/core';
import { IconChevronRight } from '@tabler/icons-react';
import { useMemo, useState } from 'react';

import type { Path } from '../document/document';
import { fieldTitle } from '../document/language';
import { t } from '../../text';
import { Form, type FormContext, type FormProps, hasDefect, useForm } from './context';
import { FieldForm } from './FieldForm';
import { Inherited } from './Inherited';
import { YamlField } from './YamlField';

interface Choice {
  /** Only these fields, in this order, all in front. */
  only?: readonly string[];
  /** Not these fields: they stand elsewhere. */
  except?: readonly string[];
}

export function ComponentForm({ doc, path, schema, edit, defects = [], disabled = false, ...choice }: FormProps & Choice) {
  return (
    <FormScope doc={doc} schema={schema} edit={edit} defects={defects} disabled={disabled}>
      <Inherited path={path}>
        <ComponentFields path={path} {...choice} />
      </Inherited>
    </FormScope>
  );
}

/** What the parts of a form share. Several forms of one document may stand in it. */
export function FormScope({ children, doc, schema, edit, defects = [], disabled = false }: Omit<FormProps, 'path'> & { children: React.ReactNode }) {
  const form: FormContext = useMemo(() => ({ doc, schema, edit, defects, disabled, where: 'local', covered: [] }), [doc, schema, edit, defects, disabled]);
  return <Form value={form}>{children}</Form>;
}

/** The fields of the component at a path. */
export function ComponentFields({ path, only, except = [] }: { path: Path } & Choice) {
  const { doc, schema, defects } = useForm();
  const { component: name } = schema.place(doc, [...path, '']);
  const component = name === undefined ? undefined : schema.component(name);
  const [opened, setOpened] = useState(false);
  const [used, setUsed] = useState<readonly string[]>([]);
  if (!component || component.python) {
    // What the language does not know is edited as it stands.
    return <YamlField path={path} label={component?.python ? t('A component in Python') : t('YAML')} name={t('YAML')} />;
  }
  const present = doc.keys(path);
  // Only a JSON body has places below others.
  const isFlat = name === 'RequestOption' && doc.get([...path, 'inject_into']) !== 'body_json' && !present.includes('field_path');
  const all = (only ?? Object.keys(component.fields)).filter((field) => Object.hasOwn(component.fields, field) && !except.includes(field) && !(isFlat && field === 'field_path'));
  const anyCommon = all.some((field) => component.fields[field]!.common);
  // What has a value stays where it is when it is emptied.
  const isInFront = (field: string) => only !== undefined || (anyCommon ? component.fields[field]!.common || component.fields[field]!.required : !component.fields[field]!.deprecated) || present.includes(field) || used.includes(field);
  const front = all.filter(isInFront);
  const rest = all.filter((field) => !front.includes(field));
  const unknown = only ? [] : present.filter((field) => field !== 'type' && field !== '$parameters' && !Object.hasOwn(component.fields, field));
  const extra = [...unknown, ...(only || !present.includes('$parameters') ? [] : ['$parameters'])];
  const expanded = opened || rest.some((field) => hasDefect(defects, [...path, field]));
  return (
    <Stack gap="sm">
      {front.map((field) => (
        <FieldForm key={field} path={[...path, field]} name={field} field={component.fields[field]} />
      ))}
      {extra.map((field) => (
        <FieldForm key={field} path={[...path, field]} name={field} field={undefined} />
      ))}
      {rest.length > 0 && (
        <Box>
          <UnstyledButton
            py={4}
            aria-expanded={expanded}
            onClick={() => {
              // Fields that were opened keep their place.
              if (expanded) setUsed([]);
              setOpened(!expanded);
            }}
          >
            <Group gap={6} wrap="nowrap" align="flex-start">
              <IconChevronRight size={16} aria-hidden style={{ transform: expanded ? 'rotate(90deg)' : undefined, marginTop: 3, flexShrink: 0 }} />
              <Text size="sm" fw={600}>
                {t('More')}
                {!expanded && (
                  <Text span size="sm" c="dimmed" fw={400}>
                    {' · '}
                    {rest.map((field) => t(fieldTitle(field, component.fields[field]))).join(', ')}
                  </Text>
                )}
              </Text>
            </Group>
          </UnstyledButton>
          <Collapse expanded={expanded}>
            <Stack gap="sm" pt="xs">
              {expanded && rest.map((field) => <FieldForm key={field} path={[...path, field]} name={field} field={component.fields[field]} />)}
            </Stack>
          </Collapse>
        </Box>
      )}
    </Stack>
  );
}
