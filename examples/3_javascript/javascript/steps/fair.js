/**
 * Step: plan_batches
 * A list of contacts from a fair begins at the beginning.
 */
export const condition = { contacts: Array, batch: null };

export const content = async () => {
  data.batch = { index: 0, size: 2 };
};

/**
 * Step: follow_up_batch
 * A subtask for each of the next contacts. `waitFor` holds the list until they have ended, `redo` takes the next ones.
 */
export const condition = { batch: { index: { $lt: data.contacts?.length || 0 }, size: Number } };

export const content = async () => {
  const { index, size } = data.batch;
  data.contacts.slice(index, index + size).forEach((lead, n) => {
    task.subtask(`contact ${index + n + 1}`, { lead }, { into: `contacts.${index + n}.outcome`, waitFor: true });
  });
  data.batch.index = index + size;
  console.log(`contacts from ${index + 1} on`);
  step.redo();
};

/**
 * Step: sum_up
 * Nothing is left of the list: say what became of it.
 */
export const condition = { contacts: Array, batch: { index: { $gte: data.contacts?.length || 0 } } };

export const content = async () => {
  const done = data.contacts.filter(contact => contact.outcome.state === 'done');
  const calls = done.filter(contact => contact.outcome.result.followUp === 'call');
  task.complete({ calls: calls.length, mails: done.length - calls.length, left_out: data.contacts.length - done.length });
};
