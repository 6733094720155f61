using System.Net;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Collective.Daemon;

/// <summary>One life of the daemon: listen, wait for a signal, stop. What the master decides, the library decides.</summary>
internal static partial class MasterDaemon
{
    /// <summary>Runs until a signal or an internal error and returns the exit code.</summary>
    public static async Task<int> RunAsync(DaemonConfiguration configuration, TextWriter errors)
    {
        // Before listening, so that a signal in between is not lost.
        using var signals = new StopSignals();
        using var memory = new MemoryKeeper();
        await using var log = new DaemonLog(configuration.LogLevel, configuration.LogFormat);
        var logger = log.Factory.CreateLogger(typeof(MasterDaemon).FullName!);
        CollectiveMaster master;
        try
        {
            master = CollectiveMaster.Start(new MasterOptions
            {
                Listen = configuration.Listen,
                HeartbeatTimeout = configuration.HeartbeatTimeout,
                CrossedCallsTimeout = configuration.CrossedCallsTimeout,
                LoggerFactory = log.Factory,
            });
        }
        catch (CollectiveException exception)
        {
            await errors.WriteLineAsync($"{MasterCommand.Name}: {Sentence.From(exception)}");
            return ExitCodeOf(exception.Code);
        }

        LogListening(logger, master.EndPoint, configuration.HeartbeatTimeout.TotalSeconds);
        await Task.WhenAny(signals.Requested, master.Completion);
        return await StopAsync(master, signals, logger, errors);
    }

    private static async Task<int> StopAsync(CollectiveMaster master, StopSignals signals, ILogger logger, TextWriter errors)
    {
        try
        {
            if (!signals.Requested.IsCompletedSuccessfully)
            {
                await master.Completion;
                throw new InvalidOperationException("The master stopped although nobody asked for it.");
            }

            LogStopping(logger, await signals.Requested);
            await master.DisposeAsync().AsTask().WaitAsync(Limits.StopTimeoutMax);
            return ExitCodes.Ok;
        }
        catch (Exception exception)
        {
            LogFailed(logger, exception);
            await errors.WriteLineAsync($"{MasterCommand.Name}: internal error, please report it with the log: {Sentence.From(exception)}");
            return ExitCodes.InternalError;
        }
    }

    private static int ExitCodeOf(ErrorCode code) => code switch
    {
        ErrorCode.AddressInUse => ExitCodes.AddressInUse,
        ErrorCode.InternalError => ExitCodes.InternalError,
        _ => ExitCodes.CannotListen,
    };

    [LoggerMessage(EventId = 1001, Level = LogLevel.Information, EventName = "Listening", Message = "Listening on {EndPoint}, heartbeat timeout {HeartbeatTimeoutSeconds} s")]
    private static partial void LogListening(ILogger logger, IPEndPoint endPoint, double heartbeatTimeoutSeconds);

    [LoggerMessage(EventId = 1002, Level = LogLevel.Information, EventName = "Stopping", Message = "Stopping, because of {Signal}")]
    private static partial void LogStopping(ILogger logger, PosixSignal signal);

    [LoggerMessage(EventId = 1003, Level = LogLevel.Critical, EventName = "Failed", Message = "The master failed")]
    private static partial void LogFailed(ILogger logger, Exception exception);
}
