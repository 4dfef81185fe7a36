/** An address that breaks before a slash or another sign, and not within a word. It is copied as it is. */
import { Fragment } from 'react';

/** The parts of an address between which a line may break: “https://”, “example.com”, “/api”, “/v1”. */
export function addressParts(address: string): string[] {
  return address.match(/^[a-z][a-z0-9+.-]*:\/\/|[/?&=#._-]?[^/?&=#._-]+|[/?&=#._-]/gi) ?? [address];
}

export function BreakableAddress({ address }: { address: string }) {
  return addressParts(address).map((part, index) => (
    <Fragment key={index}>
      {index > 0 && <wbr />}
      {part}
    </Fragment>
  ));
}
