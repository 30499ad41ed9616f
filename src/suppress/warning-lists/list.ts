import type { ObservableType } from '../../model/observable.ts';

/** A warning list: what matches it, and for which types of observables. */
export interface WarningList {
  name: string;
  title: string;
  /**
   * `string`: the value itself. `hostname`: a name and all below it. `substring`, `regex` (RE2): a part of the value. `cidr`: addresses
   * and networks inside. `prefix`: networks with a shorter prefix than the entry's, which names the kind of address: `0.0.0.0/12`.
   */
  type: 'string' | 'hostname' | 'substring' | 'regex' | 'cidr' | 'prefix';
  types: readonly ObservableType[];
  entries: readonly string[];
  /** `cidr`: URLs whose host is such an address match as well, whatever their path. */
  urls?: boolean;
  /** `cidr`: networks that hold a part of a listed one match as well. */
  overlaps?: boolean;
}
