using Collective.Daemon;

try
{
    return await MasterCommand.RunAsync(args, Console.Error);
}
catch (Exception exception)
{
    await Console.Error.WriteLineAsync($"{MasterCommand.Name}: internal error, please report it: {exception}");
    return ExitCodes.InternalError;
}
