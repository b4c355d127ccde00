/** Nobody reads what is sent to a robot. The priority puts this before everything that a lead would set going. */
export const priority = 10;

export const condition = { lead: { email: email => email.toLowerCase().startsWith('noreply@'), domain: null } };

export const content = async () => {
  console.warn('not a person:', data.lead.email);
  task.ignore();
};
