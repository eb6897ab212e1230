/**
 * The defences that the escape suite switches off, one at a time, to prove that its tests can fail. No `JailSpec` names them and
 * `startJail` has them all: nothing that a user can say weakens a jail.
 */
export interface Defences {
  readonly network: 'own' | 'shared';
  readonly system_calls: 'filtered' | 'open';
  readonly nested_user_namespaces: 'refused' | 'possible';
  readonly root_file_system: 'read_only' | 'writable';
}

export const allDefences: Defences = {
  network: 'own', system_calls: 'filtered', nested_user_namespaces: 'refused', root_file_system: 'read_only',
};
