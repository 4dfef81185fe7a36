/** The kinds of pagination that people know, and what each is in the language. */
import { isObject } from '../document/layout';

const option = (place: string, name: string) => ({ type: 'RequestOption', inject_into: place, field_name: name });
const ADDRESS = { type: 'RequestPath' };
const paginator = (strategy: Record<string, unknown>, token: unknown, size?: unknown) => ({
  type: 'DefaultPaginator',
  ...(token !== undefined && { page_token_option: token }),
  ...(size !== undefined && { page_size_option: size }),
  pagination_strategy: strategy,
});

export type PaginationKind = 'none' | 'page' | 'offset' | 'cursor' | 'link' | 'address' | 'other';

/** What each kind begins with. */
export const PAGINATIONS: Record<Exclude<PaginationKind, 'other' | 'none'>, Record<string, unknown>> = {
  page: paginator({ type: 'PageIncrement', start_from_page: 1, page_size: 100 }, option('request_parameter', 'page'), option('request_parameter', 'per_page')),
  offset: paginator({ type: 'OffsetIncrement', page_size: 100 }, option('request_parameter', 'offset'), option('request_parameter', 'limit')),
  cursor: paginator(
    { type: 'CursorPagination', cursor_value: "{{ response.get('next_cursor') }}", stop_condition: "{{ not response.get('next_cursor') }}" },
    option('request_parameter', 'cursor'),
  ),
  link: paginator({ type: 'CursorPagination', cursor_value: "{{ headers['link']['next']['url'] }}", stop_condition: "{{ 'next' not in headers['link'] }}" }, ADDRESS),
  address: paginator({ type: 'CursorPagination', cursor_value: "{{ response.get('next') }}", stop_condition: "{{ not response.get('next') }}" }, ADDRESS),
};

/** The kind of a paginator. `get` reads its fields, inherited ones too. */
export function paginationKind(get: (...path: string[]) => unknown): PaginationKind {
  const type = get('type');
  if (get() === undefined || get() === null || type === 'NoPagination') return 'none';
  const strategy = get('pagination_strategy', 'type');
  if (strategy === 'PageIncrement') return 'page';
  if (strategy === 'OffsetIncrement') return 'offset';
  if (strategy !== 'CursorPagination') return isObject(get()) && type === 'DefaultPaginator' && strategy === undefined ? 'none' : 'other';
  const value = String(get('pagination_strategy', 'cursor_value') ?? '');
  if (/headers\s*[.[].*link/.test(value)) return 'link';
  return get('page_token_option', 'type') === 'RequestPath' ? 'address' : 'cursor';
}
