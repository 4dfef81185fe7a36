/** A link from a connection, or from one of its streams, to what was synced: mount it where a stream is named. */
import { Anchor, type AnchorProps } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';

import { t } from '../text';
import { dataAddress } from './data';

interface Props extends AnchorProps {
  destinationId: string;
  connectionId: string;
  /** The stream's key in the connection; all streams of the connection without one. */
  stream?: string;
  children?: ReactNode;
}

export function DataLink({ destinationId, connectionId, stream, children, ...rest }: Props) {
  return (
    <Anchor component={Link} to="/data" search={dataAddress(destinationId, connectionId, stream) as never} aria-label={stream ? t('Data of {stream}', { stream }) : undefined} {...rest}>
      {children ?? (stream ? t('Data') : t('See the data'))}
    </Anchor>
  );
}
