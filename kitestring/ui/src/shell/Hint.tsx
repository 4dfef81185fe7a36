/** A tooltip whose code is loaded when a pointer or the focus first reaches what it is on, which stays the same element. */
import { type TooltipProps } from '@mantine/core';
import { cloneElement, lazy, type PointerEvent, type FocusEvent, type ReactElement, Suspense, useId, useState } from 'react';

import { loadModule } from '../lazyPage';

const Tooltip = lazy(() => loadModule(async () => ({ default: (await import('./tooltip')).Tooltip })));

interface Props {
  /** What the tooltip says; a function where the text costs something. */
  label: TooltipProps['label'] | (() => string);
  children: ReactElement<Record<string, unknown>>;
}

export function Hint({ label, children }: Props) {
  const id = useId();
  const [target, setTarget] = useState<HTMLElement | null>(null);
  const [open, setOpen] = useState(false);
  const show = (event: PointerEvent<HTMLElement> | FocusEvent<HTMLElement>) => {
    setTarget(event.currentTarget);
    setOpen(true);
  };
  const hide = () => setOpen(false);
  return (
    <>
      {cloneElement(children, { onPointerEnter: show, onPointerLeave: hide, onFocus: show, onBlur: hide, ...(open && { 'aria-describedby': id }) })}
      {target && (
        <Suspense fallback={null}>
          <Tooltip target={target} opened={open} label={typeof label === 'function' ? label() : label} id={id} />
        </Suspense>
      )}
    </>
  );
}
