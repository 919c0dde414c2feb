drop table mail, notification;
