/**
 * Colours, folding and indentation of YAML, line by line: what is typed in a text of any length costs what its line costs.
 * The meaning is read elsewhere (`document/`).
 */
import { foldService, indentService, StreamLanguage, type StringStream } from '@codemirror/language';

interface State {
  /** The column of the key of a block scalar; its lines are further in. */
  block: number | undefined;
  /** The quote that is open. */
  quote: string | undefined;
}

export const yamlLanguage = StreamLanguage.define<State>({
  name: 'yaml',
  startState: () => ({ block: undefined, quote: undefined }),
  copyState: (state) => ({ ...state }),
  languageData: { commentTokens: { line: '#' }, closeBrackets: { brackets: ['(', '[', '{', "'", '"'] } },
  token(stream: StringStream, state: State): string | null {
    if (state.quote) return quoted(stream, state);
    if (stream.sol() && state.block !== undefined) {
      if (stream.indentation() > state.block || /^\s*$/.test(stream.string)) {
        stream.skipToEnd();
        return 'string';
      }
      state.block = undefined;
    }
    if (stream.eatSpace()) return null;
    if (stream.match(/^#.*/)) return 'comment';
    if (stream.match(/^(?:---|\.\.\.)(?=\s|$)/)) return 'meta';
    if (stream.match(/^-(?=\s|$)/)) return 'punctuation';
    if (stream.match(/^(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#&*!|>'"%@`,[\]{}:-][^#,[\]{}:]*|-[^\s#,[\]{}:][^#,[\]{}:]*)(?=\s*:(?:\s|$))/)) return 'propertyName';
    if (stream.match(/^[&*][^\s,[\]{}]+/)) return 'labelName';
    if (stream.match(/^![^\s,[\]{}]*/)) return 'typeName';
    if (stream.match(/^[|>][-+0-9]*(?=\s*(?:#.*)?$)/)) {
      state.block = /^ */.exec(stream.string)![0].length;
      return 'meta';
    }
    const quote = stream.peek();
    if (quote === '"' || quote === "'") {
      stream.next();
      state.quote = quote;
      return quoted(stream, state);
    }
    if (stream.match(/^[,[\]{}:?]/)) return 'punctuation';
    stream.match(/^[^\s,[\]{}:#]+|^./);
    return 'atom';
  },
});

function quoted(stream: StringStream, state: State): string {
  while (!stream.eol()) {
    const character = stream.next();
    if (character === '\\' && state.quote === '"') stream.next();
    else if (character === state.quote) {
      if (state.quote === "'" && stream.eat("'")) continue;
      state.quote = undefined;
      break;
    }
  }
  return 'string';
}

const indentOf = (text: string) => /^ */.exec(text)![0].length;
/** The column where the content of a line begins, behind the dashes of a list. */
const contentOf = (text: string) => /^ *(?:- +)*/.exec(text)![0].length;

/** A line and the lines below it that are further in fold together. */
export const folding = foldService.of((state, start) => {
  const line = state.doc.lineAt(start);
  if (line.text.trim() === '') return null;
  const isItem = /^ *- /.test(line.text);
  const indent = indentOf(line.text);
  let last = line.number;
  for (let number = line.number + 1; number <= state.doc.lines; number++) {
    const { text } = state.doc.line(number);
    if (text.trim() === '') continue;
    const same = indentOf(text) === indent && !isItem && /^ *-(?: |$)/.test(text) && /:\s*(?:#.*)?$/.test(line.text);
    if (indentOf(text) <= indent && !same) break;
    last = number;
  }
  return last > line.number ? { from: line.to, to: state.doc.line(last).to } : null;
});

/** A new line stands where the one above does; further in behind a key without a value. */
export const indentation = indentService.of((context, position) => {
  const line = context.state.doc.lineAt(position);
  const before = context.simulatedBreak !== null ? line.text.slice(0, position - line.from) : line.number > 1 ? context.state.doc.line(line.number - 1).text : '';
  if (before.trim() === '') return indentOf(line.text);
  return /:\s*(?:[|>][-+0-9]*)?\s*(?:#.*)?$/.test(before) ? contentOf(before) + context.unit : contentOf(before);
});
