/** What every field of a form gets. */
import { createContext, useContext } from 'react';

import type { Schema } from './schema';

export interface FieldProps {
  name: string;
  path: string;
  schema: Schema;
  value: unknown;
  needed: boolean;
  onChange: (value: unknown) => void;
}

/** A note at a field that does not stop saving, with a value that would settle it. */
export interface Advice {
  message: string;
  value?: unknown;
}

/** Errors and notes by path (`credentials.api_token`). */
export interface FormNotes {
  errors: Record<string, string>;
  advice: Record<string, Advice>;
}

export const FormNotesContext = createContext<FormNotes>({ errors: {}, advice: {} });
export const useFormNotes = () => useContext(FormNotesContext);

/** The properties that the inputs of all kinds share. */
export interface SharedProps {
  id: string;
  label: string;
  description: React.ReactNode;
  inputWrapperOrder: ('label' | 'description' | 'input' | 'error')[];
  error: string | undefined;
  withAsterisk: boolean;
  required: boolean;
}
