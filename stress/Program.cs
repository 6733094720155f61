using System.CommandLine;
using Collective.Stress.Bench;
using Collective.Stress.Churn;
using Collective.Stress.Demo;

namespace Collective.Stress;

internal static class Program
{
    private static Task<int> Main(string[] arguments)
    {
        var root = new RootCommand("Collective with real processes: a demo, a benchmark, and churn.")
        {
            DemoCommand.Create(),
            DemoCommand.CreatePeer(),
            BenchCommand.Create(),
            BenchCommand.CreatePeer(),
            ChurnCommand.Create(),
            ChurnCommand.CreatePeer(),
        };
        return CommandLine.InvokeAsync(root, arguments);
    }
}
