import type { Asked } from '../model/asked.ts';
import { networksOver } from '../model/networks-over.ts';
import { type Observable, type ObservableType, observableKey, observableTypes } from '../model/observable.ts';
import { canonical } from './canonical.ts';

/** Reads a value that somebody asks about by the rules for values of feeds. `claim` null: as any type that it can be read as. */
export function readAsked(ioc: string, claim: ObservableType | null): Asked {
  const seen = canonical(claim, ioc);
  const readings = (claim === null ? observableTypes : [claim]).flatMap((type) => readAs(type, ioc));
  return {
    ioc,
    observable: 'observable' in seen ? seen.observable : null,
    unreadable: 'rejection' in seen ? seen.rejection.detail : null,
    exact: unique(readings),
    networks: unique(readings.flatMap(networksOf)),
  };
}

function readAs(type: ObservableType, text: string): Observable[] {
  const read = canonical(type, text);
  return 'observable' in read ? [read.observable] : [];
}

/** The networks that hold an address. */
function networksOf({ type, value }: Observable): Observable[] {
  return (type === 'ipv4' || type === 'ipv6') && !value.includes('/') ? [...networksOver(value)] : [];
}

function unique(observables: readonly Observable[]): Observable[] {
  return [...new Map(observables.map((one) => [observableKey(one), one])).values()];
}
