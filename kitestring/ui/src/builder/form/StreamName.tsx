/** The name of a stream: it is written when the field is left, together with what calls the stream by its name. */
import { TextInput } from '@mantine/core';

import { t } from '../../text';
import type { Doc, Path } from '../document/document';
import { idOf, useField, useForm } from './context';
import type { InputProps } from './ScalarField';
import { renamedStream, streamNames } from './streamNames';
import { useTyped } from './useTyped';

/** Whether a path is that of the name of a stream, or of the streams of a template. */
export const isStreamName = (path: Path): boolean => path.length === 3 && (path[0] === 'streams' || path[0] === 'dynamic_streams') && path[2] === 'name';

export function StreamName({ path, label, name }: InputProps) {
  const { doc, edit, where } = useForm();
  const { value, set, error, disabled } = useField(path);
  const typed = useTyped(
    value === undefined || value === null ? '' : String(value),
    () => undefined,
    (text) => {
      const next = text.trim();
      if (next === '' || next === value || isTaken(doc, path, next)) return true;
      if (typeof value === 'string') edit(renamedStream(doc, path, next, { where }));
      else set(next);
      return true;
    },
  );
  const taken = typed.value !== value && isTaken(doc, path, typed.value.trim());
  return <TextInput id={idOf(path)} label={label} aria-label={typeof label === 'string' ? undefined : name} error={taken ? t('There is one of this name') : error} disabled={disabled} spellCheck={false} autoComplete="off" {...typed} />;
}

const isTaken = (doc: Doc, path: Path, name: string) => streamNames(doc, path.slice(0, 2)).includes(name);
