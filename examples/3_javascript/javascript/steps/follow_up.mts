/**
 * Step: call_hot_lead
 * Somebody from sales picks up the telephone.
 */
export const condition = { lead: { score: { $gte: 70 }, followUp: null } };

export const content = async () => {
  const { name, company }: { name: string; company: { name: string } } = data.lead;
  await connectors.slackCom.send({ channel: '#sales', text: `please call ${name} of ${company.name}` });
  data.lead.followUp = 'call';
};

/**
 * Step: write_to_lead
 * Everybody else gets a letter.
 */
export const condition = { lead: { score: { $lt: 70 }, followUp: null } };

export const content = async () => {
  const subject: string = data.lead.heat === 'warm' ? 'When can we show you around?' : 'Thank you for your interest';
  await connectors.mail.send({ to: data.lead.email, subject });
  data.lead.followUp = 'mail';
};

/**
 * Step: close_lead
 * What a list of contacts gets back from the subtask of a lead.
 */
export const condition = { lead: { followUp: String } };

export const content = async () => {
  const { score, followUp } = data.lead;
  task.complete({ score, followUp });
};
