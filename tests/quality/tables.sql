-- Public customer tables with the types an analyst would give them.
CREATE TABLE telco ("customerID" text PRIMARY KEY, gender text, "SeniorCitizen" boolean, "Partner" text, "Dependents" text,
  tenure integer, "PhoneService" text, "MultipleLines" text, "InternetService" text, "OnlineSecurity" text,
  "OnlineBackup" text, "DeviceProtection" text, "TechSupport" text, "StreamingTV" text, "StreamingMovies" text,
  "Contract" text, "PaperlessBilling" text, "PaymentMethod" text, "MonthlyCharges" numeric, "TotalCharges" numeric, "Churn" text);
CREATE TABLE adult (age integer, workclass text, fnlwgt integer, education text, education_num integer, marital_status text,
  occupation text, relationship text, race text, sex text, capital_gain integer, capital_loss integer, hours_per_week integer,
  native_country text, income text);
CREATE TABLE adult_unseen (LIKE adult);
CREATE TABLE bank (age integer, job text, marital text, education text, "default" text, balance integer, housing text, loan text,
  contact text, day integer, month text, duration integer, campaign integer, pdays integer, previous integer, poutcome text, y text);
CREATE TABLE shoppers ("Administrative" integer, "Administrative_Duration" float8, "Informational" integer,
  "Informational_Duration" float8, "ProductRelated" integer, "ProductRelated_Duration" float8, "BounceRates" float8,
  "ExitRates" float8, "PageValues" float8, "SpecialDay" float8, "Month" text, "OperatingSystems" text, "Browser" text,
  "Region" text, "TrafficType" text, "VisitorType" text, "Weekend" boolean, "Revenue" boolean);
CREATE TABLE german (status text, months integer, history text, purpose text, amount integer, savings text, employment text,
  rate integer, personal text, debtors text, residence integer, property text, age integer, plans text, housing text,
  credits integer, job text, people integer, telephone text, abroad text, class integer);
CREATE TABLE machines (udi integer, product_id text, type text, air_temperature float8, process_temperature float8,
  rotational_speed integer, torque float8, tool_wear integer, machine_failure integer, twf integer, hdf integer, pwf integer,
  osf integer, rnf integer);
CREATE TABLE housing (longitude float8, latitude float8, housing_median_age float8, total_rooms float8, total_bedrooms float8,
  population float8, households float8, median_income float8, median_house_value float8, ocean_proximity text);
CREATE TABLE cdnow (customer text, at date, amount numeric);
